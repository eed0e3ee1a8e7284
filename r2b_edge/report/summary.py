"""What a report says in short: the decisions that the terminal and the page share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from r2b_edge.report import text, words
from r2b_edge.report.model import (
    DEFAULT_TOLERANCE,
    Check,
    ExecutorCheck,
    Layer,
    Report,
    Skipped,
    TensorCheck,
)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The check in one sentence; `state` is `exact`, `partial` (some were skipped), `inexact` or `unchecked`."""

    state: str
    headline: str
    detail: str


@dataclasses.dataclass(frozen=True)
class Share:
    """How much of a total is binary and how much is real (float); either may be zero."""

    binary: int
    real: int

    @property
    def fraction(self) -> float | None:
        """The binary part of the total, None if the total is zero."""
        total = self.binary + self.real
        return self.binary / total if total else None


@dataclasses.dataclass(frozen=True)
class PartBytes:
    """The constants of one part of the network, in bytes, and the number of layers that hold some of it."""

    part: str
    title: str
    bytes: int
    layers: int


def verdict(check: Check | None) -> Verdict:
    """What the check found, exact only if every executor ran and is exact in every step."""
    if check is None:
        return Verdict("unchecked", "Not checked yet", "r2b-edge check compares every step")
    ran = [(name, e) for name, e in check.executors.items() if isinstance(e, ExecutorCheck)]
    skipped = [name for name, e in check.executors.items() if isinstance(e, Skipped)]
    bad = [name for name, e in ran if not e.exact]
    detail = ", ".join(f"{name} {e.steps_exact} of {e.steps}" for name, e in ran)
    detail = f"steps exact: {detail}" if ran else "no executor ran"
    if skipped:
        detail += f"; skipped: {', '.join(skipped)}"
    if bad:
        return Verdict("inexact", f"Not exact: {', '.join(bad)}", detail)
    if not ran:
        return Verdict("unchecked", "Not checked", detail)
    if skipped:
        return Verdict("partial", f"Exact in every step where checked ({len(ran)} of 3)", detail)
    return Verdict("exact", "Exact in every step, on all three executors", detail)


def mac_share(report: Report) -> Share:
    """Multiply-accumulates of one inference."""
    return Share(report.model.binary_macs, report.model.float_macs)


def byte_share(report: Report) -> Share | None:
    """Constants of the layers, by what they hold; None where a layer's are unknown."""
    if any(layer.weight_bytes is None for layer in report.layers):
        return None
    floats = sum(float_bytes(layer) for layer in report.layers)
    return Share(sum(layer.weight_bytes or 0 for layer in report.layers) - floats, floats)


def instruction_share(report: Report) -> Share | None:
    """Instructions of the layers; None where nothing was counted."""
    counted = [layer for layer in report.layers if layer.instructions is not None]
    if not counted:
        return None
    return Share(
        sum(layer.instructions or 0 for layer in counted if layer.binary),
        sum(layer.instructions or 0 for layer in counted if not layer.binary),
    )


def float_bytes(layer: Layer) -> int:
    """The bytes of a layer's constants that hold floats (see `Layer.float_bytes`)."""
    if layer.float_bytes is not None:
        return layer.float_bytes
    return 0 if layer.binary else layer.weight_bytes or 0


def bytes_by_part(layers: Iterable[Layer]) -> list[PartBytes]:
    """Where the constants are: bits first, then the float parts, largest first; empty parts are left out.

    The floats inside of a binary layer (scales, thresholds, BatchNorm, PReLU) count as `norm`.
    """
    total: dict[str, int] = {}
    holders: dict[str, int] = {}
    for layer in layers:
        floats = float_bytes(layer)
        part = layer.part or "other"
        pieces = {"binary": (layer.weight_bytes or 0) - floats}
        pieces["norm" if layer.binary or part == "binary" else part] = floats
        for name, held in pieces.items():
            if held:
                total[name] = total.get(name, 0) + held
                holders[name] = holders.get(name, 0) + 1
    order = sorted(total, key=lambda name: (name != "binary", -total[name], name))
    return [PartBytes(name, words.PARTS[name], total[name], holders[name]) for name in order]


def wider(check: Check) -> list[tuple[str, TensorCheck]]:
    """The tensors that were compared with more than the default tolerance, with their executor."""
    return [
        (name, tensor)
        for name, executor in check.executors.items()
        if isinstance(executor, ExecutorCheck)
        for tensor in executor.tensors
        if tensor.tolerance > DEFAULT_TOLERANCE
    ]


def effect_line(check: Check | None) -> str:
    """What rounded weights change, in one line; "" where none are rounded."""
    effect = check.effect if check is not None else None
    if effect is None:
        return ""
    error, most = text.error(effect.max_abs_error), text.error(effect.largest_output)
    parts = [f"outputs differ by at most {error}, the largest is {most}"]
    if effect.top1_agreement is not None:
        parts.append(f"top-1 is the same on {effect.top1_agreement:,} of {effect.samples:,}")
    if effect.accuracy is not None and check is not None:
        now = text.percent(check.reference_accuracy)
        parts.append(f"accuracy {text.percent(effect.accuracy)} as trained, {now} now")
    flipped, of = (sum(getattr(b, name) for b in effect.bits) for name in ("flipped", "of"))
    if of:
        parts.append(f"{flipped:,} of {of:,} bits differ")
    return f"What rounding changes, end to end: {'; '.join(parts)}"


def inputs_line(report: Report) -> str:
    """`uint8 1x3x32x32 to float32 1x10`, with the sizes of all inputs and outputs."""
    sides = (report.model.inputs, report.model.outputs)
    told = (
        " + ".join(f"{text.printable(t.dtype)} {text.shape(t.shape)}" for t in side)
        for side in sides
    )
    return " → ".join(told)
