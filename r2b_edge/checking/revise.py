"""A report with what a check has found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from r2b_edge.checking.compare import MARGIN, TOLERANCE, Tally
from r2b_edge.checking.verify import Verdict
from r2b_edge.graph.graph import Graph
from r2b_edge.report import (
    Check,
    Effect,
    ExecutorCheck,
    Executors,
    Instructions,
    Report,
    Skipped,
    Speed,
    TensorCheck,
)
from r2b_edge.runners.count import Counts, ThreadCounts

EXECUTORS = ("graph", "tflite", "c")
BEFORE_CLIP = "relative to the tensor before the clip that the step holds"
UNCOUNTED = "instructions not counted: "
RULES: dict[str, dict[str, Any]] = {
    "bits": {"rule": "bits", "tolerance": MARGIN},
    "int32": {"rule": "integers", "tolerance": 0.0},
    "float32": {"rule": "floats", "tolerance": TOLERANCE},
}


def revise(
    old: Report,
    graph: Graph,
    verdicts: Mapping[str, Verdict],
    skipped: Mapping[str, str],
    accuracy: float | None,
    counts: Counts | str,
    device: str,
    effect: Effect | None = None,
    spread: ThreadCounts | None = None,
) -> Report:
    """The report of an export after a check; what an earlier check found is replaced.

    Args:
        old: the report so far.
        graph: what was checked.
        verdicts: of the executors that ran, by name.
        skipped: reasons of those that did not.
        accuracy: of the reference; None without labels.
        counts: instructions of each step, or why they were not counted.
        device: what the C program ran on.
        effect: of rounded weights; None if there are none.
        spread: instructions on several threads; None if they were not counted.
    """
    executors = {
        name: _executor(graph, verdicts[name])
        if name in verdicts
        else Skipped(skipped=skipped[name])
        for name in EXECUTORS
    }
    exact: list[bool | None] = [None] * len(old.steps)
    if "c" in verdicts:
        exact = [all(tally.exact for tally in tallies) for tallies in verdicts["c"].tallies]
    of_step = counts.steps if isinstance(counts, Counts) else None
    steps = [
        step.model_copy(
            update={
                "exact": exact[step.index],
                "instructions": None if of_step is None else of_step[step.index],
            }
        )
        for step in old.steps
    ]
    layers = [
        layer.model_copy(
            update={
                "instructions": None if of_step is None else sum(of_step[i] for i in layer.steps)
            }
        )
        for layer in old.layers
    ]
    found = (*(f"{name}: " for name in EXECUTORS), UNCOUNTED)
    return old.revised(
        check=Check(executors=Executors(**executors), reference_accuracy=accuracy, effect=effect),
        steps=tuple(steps),
        layers=tuple(layers),
        notes=(
            *(note for note in old.notes if not note.startswith(found)),
            *(f"{name}: {line}" for name, v in verdicts.items() for line in (*v.faults, *v.traced)),
            *([] if of_step is not None or "c" in skipped else [f"{UNCOUNTED}{counts}"]),
        ),
        **_instructions(old, counts, device, spread),
    )


def _instructions(
    old: Report, counts: Counts | str, device: str, spread: ThreadCounts | None
) -> dict[str, Any]:
    others = tuple(speed for speed in old.speed if speed.kind != "emulated instructions")
    if not isinstance(counts, Counts):
        return {"instructions": None, "speed": others}
    total = sum(counts.steps) + counts.overhead
    found = [(1, total)]
    if spread is not None:
        found.append((len(spread.steps[0]), spread.busiest))
    speed = (
        Speed(
            kind="emulated instructions", device=device, unit="instructions", threads=threads,
            runs=1, min=instructions, median=instructions, p95=instructions,
        )
        for threads, instructions in found
    )  # fmt: skip
    return {
        "instructions": Instructions(
            total=total, overhead=counts.overhead, counter="QEMU TCG plug-in"
        ),
        "speed": (*others, *speed),
    }


def _executor(graph: Graph, verdict: Verdict) -> ExecutorCheck:
    finite = bool(np.isfinite(verdict.max_abs_error))
    return ExecutorCheck(
        steps=len(verdict.tallies),
        steps_exact=verdict.steps_exact,
        samples=verdict.samples,
        top1_agreement=verdict.agreed,
        accuracy=None if verdict.correct is None else verdict.correct / verdict.samples,
        max_abs_error=verdict.max_abs_error if finite else None,
        margin_ties=verdict.margin_ties,
        faults=tuple(verdict.faults),
        tensors=tuple(_tensors(graph, verdict)),
    )


def _tensors(graph: Graph, verdict: Verdict) -> Iterator[TensorCheck]:
    for index, tallies in enumerate(verdict.tallies):
        for tally in tallies:
            yield TensorCheck(
                step=index,
                tensor=graph.tensors[tally.name].origin.onnx,
                exact=tally.exact,
                max_abs_error=_error(tally),
                margin_ties=tally.margin_ties,
                note=_note(tally),
                **RULES[tally.dtype],
            )


def _note(tally: Tally) -> str | None:
    """Why a tolerance is a wider one, how much could not be compared, and what is wrong on probes only."""
    notes = [BEFORE_CLIP] if tally.before_clip is not None else []
    if tally.hidden:
        of = tally.compared + tally.hidden
        notes.append(
            f"{tally.hidden} of {of} values not compared: the reference multiplies them by 0"
        )
    if tally.wrong_probed:
        notes.append(
            f"{tally.wrong_probed} of {tally.probed} values wrong on probes, inputs of check's own making"
        )
    return "; ".join(notes) or None


def _error(tally: Tally) -> float | None:
    known = tally.dtype == "float32" and np.isfinite(tally.max_abs_error)
    return tally.max_abs_error if known else None
