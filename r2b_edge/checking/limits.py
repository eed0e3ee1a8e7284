"""What one inference may take: `check --max-instructions`, and `--baseline`, a report to be no slower than."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from r2b_edge import report, targets
from r2b_edge.checking.revise import UNCOUNTED
from r2b_edge.errors import InputError, ToolMissingError
from r2b_edge.report import Report

TOLERANCE = 0.02
"""By how much the instructions of an inference or of a step may grow: compilers differ by as much from one patch
release to the next."""
SHARE = 0.001
"""Steps that took less than this part of the baseline's instructions are compared in the total only."""


@dataclass(frozen=True)
class Limits:
    """What instructions of a checked export are held against.

    Attributes:
        most: instructions of one inference; None: any number.
        baseline: a report of the same target with instructions; None: no comparison.
    """

    most: int | None = None
    baseline: Report | None = None

    @classmethod
    def read(
        cls,
        out: str | os.PathLike[str],
        most: int | None,
        baseline: str | os.PathLike[str] | None,
    ) -> Limits:
        """The limits for the export in `out`; tells what cannot be compared before anything runs.

        Args:
            out: a folder that `export` wrote.
            most: see Limits.
            baseline: a report.json, or the folder of an export that holds one.

        Raises:
            InputError: a report that cannot be read; a baseline of another target or without instructions; a target
                whose instructions nothing counts.
        """
        if most is None and baseline is None:
            return cls()
        target = targets.load(report.read(out).target)
        if target.emulator is None:
            raise InputError(
                f"--max-instructions and --baseline count under an emulator, and target {target.name} has none",
                "export for another target",
            )
        earlier = None if baseline is None else report.read(baseline)
        if earlier is not None and earlier.target != target.name:
            raise InputError(
                f"{baseline} is a report for {earlier.target}, and {out} is for {target.name}",
                "take a baseline of the same target",
            )
        if earlier is not None and earlier.instructions is None:
            raise InputError(
                f"{baseline} holds no counts of instructions",
                "run `r2b-edge check` on the export that it is of",
            )
        return cls(most, earlier)

    def excess(self, result: Report) -> list[str]:
        """Empty if a checked export is within the limits, else a line for all that is over, the whole inference last.

        Raises:
            ToolMissingError: nothing counted its instructions.
        """
        if self.most is None and self.baseline is None:
            return []
        if result.instructions is None:
            why = (n.removeprefix(UNCOUNTED) for n in result.notes if n.startswith(UNCOUNTED))
            raise ToolMissingError(
                f"--max-instructions and --baseline cannot be checked: {next(why, 'the C program did not run')}"
            )
        lines = [] if self.baseline is None else slower(result, self.baseline)
        total = result.instructions.total
        if self.most is not None and total > self.most:
            lines.append(
                f"one inference takes {total:,} instructions, --max-instructions is {self.most:,}"
            )
        return lines

    def remark(self, result: Report) -> str:
        """Empty if every step could be compared with the baseline's, else one line that says so."""
        if self.baseline is None or same_steps(result, self.baseline):
            return ""
        return "the baseline has other steps: only the total was compared with it"


def same_steps(result: Report, baseline: Report) -> bool:
    """Are both made of the same kernels for the same layers, in the same order?"""
    ours, theirs = ([(s.kernel, s.layer) for s in r.steps] for r in (result, baseline))
    return ours == theirs


def slower(result: Report, baseline: Report, tolerance: float = TOLERANCE) -> list[str]:
    """Empty if `result` takes no more instructions than `baseline`, else a line a step that grew, the whole last.

    Steps are compared if both reports have the same ones; where fusion or the choice of kernels differ, work may have
    moved from one to another, and only the totals are compared.

    Args:
        result: with instructions.
        baseline: with instructions.
        tolerance: what may be added, relative to the baseline.
    """
    assert result.instructions is not None
    assert baseline.instructions is not None
    before, now = baseline.instructions.total, result.instructions.total
    lines = list(_grown(result, baseline, tolerance)) if same_steps(result, baseline) else []
    if now > before * (1 + tolerance):
        lines.append(
            f"one inference takes {now:,} instructions, {_more(now, before)} than the baseline's {before:,}; "
            f"{tolerance:.0%} are allowed"
        )
    elif lines:
        lines.append(
            f"{len(lines)} of {len(result.steps)} steps take over {tolerance:.0%} more instructions than the baseline's"
        )
    if lines and result.build != baseline.build:
        told = [r.build.compiler if r.build else "an unknown compiler" for r in (baseline, result)]
        lines[-1] += f" (built by {told[0]}; now by {told[1]})" if told[0] != told[1] else ""
    return lines


def _grown(result: Report, baseline: Report, tolerance: float) -> Iterator[str]:
    assert baseline.instructions is not None
    least = SHARE * baseline.instructions.total
    for old, new in zip(baseline.steps, result.steps, strict=True):
        before, now = old.instructions, new.instructions
        if before is None or now is None or before < least or now <= before * (1 + tolerance):
            continue
        what = f"step {new.index}, {new.kernel} of {new.layer}"
        yield f"{what}: {now:,} instructions, {_more(now, before)} than {before:,}"


def _more(now: int, before: int) -> str:
    return f"{now / before - 1:.1%} more"
