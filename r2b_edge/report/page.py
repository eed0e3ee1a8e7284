"""What the HTML page shows, section by section, as plain data: the template holds markup only.

Names in here are as in the report, shortened where a line is short; the template escapes them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from r2b_edge.report import charts, summary, text, words
from r2b_edge.report.charts import Span
from r2b_edge.report.model import (
    DEFAULT_TOLERANCE,
    Check,
    ExecutorCheck,
    Layer,
    Report,
    Skipped,
)

LABEL = 34  # characters of a layer's name beside a bar


@dataclasses.dataclass(frozen=True)
class Figure:
    """A headline figure: what, how much, what it means, and its kind."""

    title: str
    value: str
    detail: str
    kind: str | None


@dataclasses.dataclass(frozen=True)
class Row:
    """One bar with its label (`name` in full), its figures, and the words for who cannot see it."""

    label: str
    name: str
    spans: Sequence[Span]
    cells: Sequence[str]
    title: str
    kind: str | None = None


@dataclasses.dataclass(frozen=True)
class Piece:
    """One piece of the stacked bar, with its line in the table behind it."""

    title: str
    css: str
    size: str
    exact: str
    share: str
    layers: int


@dataclasses.dataclass(frozen=True)
class Group:
    """Layers that are binary, or in float for one reason."""

    binary: bool
    reason: str
    layers: int
    macs: str
    bytes: str
    names: str


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How many tensors of one executor were compared by one rule."""

    executor: str
    rule: str
    tensors: int
    inexact: int
    tolerance: str
    worst: str
    ties: int
    note: str
    wider: bool


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One measurement of whole inferences, its figures with their unit."""

    device: str
    median: str
    least: str
    p95: str
    threads: int
    runs: int
    kind: str


def figures(report: Report) -> list[Figure]:
    """The row of headline figures."""
    memory, counted = report.memory, report.instructions
    parts = [
        f"{name} {text.size(held)}"
        for name, held in (("arena", memory.arena_bytes), ("stack", memory.stack_bytes))
        if held is not None
    ]
    saving = (
        f"{text.times(memory.weight_saving)} smaller than float32" if memory.weight_saving else ""
    )
    found = [
        Figure(
            "Weights",
            text.size(memory.weight_bytes),
            saving,
            "by sum" if memory.weight_bytes is not None else None,
        ),
        Figure("Flash", text.size(memory.flash_bytes), "code and weights", memory.flash_kind),
        Figure("Peak RAM", text.size(memory.ram_bytes), " + ".join(parts), memory.ram_kind),
        Figure(
            "Instructions",
            text.count(counted.total if counted else None),
            "one inference",
            "emulated instructions" if counted else None,
        ),
    ]
    accuracy = _accuracy(report.check)
    return [*found, accuracy] if accuracy else found


def _accuracy(check: Check | None) -> Figure | None:
    """Accuracy of the C program, else how often it agrees with the reference."""
    if check is None or isinstance(check.executors.c, Skipped):
        return None
    ran = check.executors.c
    samples = text.plural(ran.samples, "sample")
    if ran.accuracy is not None:
        known = check.reference_accuracy
        beside = f", reference {text.percent(known)}" if known is not None else ""
        return Figure("Accuracy", text.percent(ran.accuracy), f"{samples}{beside}", "C program")
    if ran.top1_agreement is None:
        return None
    return Figure(
        "Same class", f"{ran.top1_agreement:,}", f"of {samples}, as the reference", "C program"
    )


def sizes(report: Report) -> list[Row]:
    """The network as a whole: as trained, and in each form it was exported to."""
    memory = report.memory
    floats = summary.byte_share(report)
    pieces = [(floats.binary, "binary"), (floats.real, "float")] if floats else []
    stored = memory.weight_bytes
    rows: list[tuple[str, int | None, list[tuple[int, str]], str | None]] = [
        ("Weights as trained, float32", memory.float32_weight_bytes, [], "by sum"),
        ("Weights in C", stored, pieces if stored else [], "by sum"),
        ("model.tflite", memory.tflite_bytes, [(memory.tflite_bytes or 0, "ink")], "file"),
        ("Flash", memory.flash_bytes, [(memory.flash_bytes or 0, "ink")], memory.flash_kind),
    ]
    return _plain_rows(rows)


def ram(report: Report) -> list[Row]:
    """Working memory."""
    memory = report.memory
    rows: list[tuple[str, int | None, list[tuple[int, str]], str | None]] = [
        ("Arena of the same net in float32", memory.float32_arena_bytes, [], "estimate"),
        ("Arena", memory.arena_bytes, [(memory.arena_bytes or 0, "ink")], "planned"),
        ("No plan can be below", memory.arena_bound_bytes, [], "estimate"),
        ("Stack", memory.stack_bytes, [(memory.stack_bytes or 0, "ink")], memory.stack_kind),
        ("Peak RAM", memory.ram_bytes, [(memory.ram_bytes or 0, "ink")], memory.ram_kind),
    ]
    return _plain_rows(rows)


def _plain_rows(
    rows: Sequence[tuple[str, int | None, list[tuple[int, str]], str | None]],
) -> list[Row]:
    top = max((value or 0 for _, value, _, _ in rows), default=0)
    return [
        Row(
            label=label,
            name=label,
            spans=charts.chain(pieces or [(value or 0, "pale")], top),
            cells=[text.size(value)],
            title=f"{label}: {text.exact(value)}" + (" bytes" if value is not None else ""),
            kind=kind if value is not None else None,
        )
        for label, value, pieces, kind in rows
    ]


def memory_by_layer(report: Report) -> list[Row]:
    """For each layer what it takes in float32 (behind) and in C (in front, bits and floats apart)."""
    layers = [layer for layer in report.layers if layer.weight_bytes or layer.float32_bytes]
    return _layer_rows(layers, _either, _memory_row)


def instructions_by_layer(report: Report) -> list[Row]:
    """For each layer what one inference spends in it; the overhead outside of all layers comes last."""
    counted = [layer for layer in report.layers if layer.instructions is not None]
    total = report.instructions.total if report.instructions else 0
    total = total or sum(layer.instructions or 0 for layer in counted)

    def row(label: str, layers: Sequence[Layer], top: int) -> Row:
        spent = sum(layer.instructions or 0 for layer in layers)
        binary = sum(layer.instructions or 0 for layer in layers if layer.binary)
        return Row(
            label=label,
            name=_full_name(label, layers),
            spans=charts.chain([(binary, "binary"), (spent - binary, "float")], top),
            cells=[text.count(spent), text.percent(spent / total if total else None)],
            title=f"{_full_name(label, layers)}: {text.exact(spent)} instructions",
        )

    rows = _layer_rows(counted, lambda layer: layer.instructions or 0, row)
    if rows and report.instructions and report.instructions.overhead:
        spent = report.instructions.overhead
        top = max(layer.instructions or 0 for layer in counted)
        cells = [text.count(spent), text.percent(spent / total)]
        title = f"Outside of the steps: {text.exact(spent)} instructions"
        rows.append(
            Row("outside of the steps", title, charts.bar(spent, top, "pale"), cells, title)
        )
    return rows


def _either(layer: Layer) -> int:
    return max(layer.weight_bytes or 0, layer.float32_bytes or 0)


def _memory_row(label: str, layers: Sequence[Layer], top: int) -> Row:
    stored = [layer.weight_bytes for layer in layers if layer.weight_bytes is not None]
    trained = [layer.float32_bytes for layer in layers if layer.float32_bytes is not None]
    before = sum(trained) if len(trained) == len(layers) else None
    after = sum(stored) if len(stored) == len(layers) else None
    floats = sum(summary.float_bytes(layer) for layer in layers)
    front = charts.chain([(sum(stored) - floats, "binary"), (floats, "float")], top)
    name = _full_name(label, layers)
    return Row(
        label=label,
        name=name,
        spans=[*charts.bar(before or 0, top, "pale"), *front],
        cells=[text.size(before), text.size(after)],
        title=f"{name}: {text.exact(before)} bytes in float32, {text.exact(after)} bytes in C",
    )


def _layer_rows(
    layers: Sequence[Layer],
    weight: Callable[[Layer], int],
    row: Callable[[str, Sequence[Layer], int], Row],
) -> list[Row]:
    weights = [weight(layer) for layer in layers]
    shown, rest = charts.foremost(layers, weights, charts.MOST_ROWS)
    top = max(weights, default=0)
    rows = [row(text.shorten(layer.name, LABEL), [layer], top) for layer in shown]
    if rest:
        rows.append(row(text.plural(len(rest), "smaller layer"), rest, top))
    return rows


def _full_name(label: str, layers: Sequence[Layer]) -> str:
    return text.printable(layers[0].name) if len(layers) == 1 else label


def pieces(report: Report) -> tuple[list[Span], list[Piece]]:
    """Where the bytes are: the stacked bar, and the table behind it."""
    parts = summary.bytes_by_part(report.layers)
    total = sum(part.bytes for part in parts)
    spans = charts.stack([(part.bytes, f"part-{part.part}") for part in parts])
    table = [
        Piece(
            title=part.title,
            css=f"part-{part.part}",
            size=text.size(part.bytes),
            exact=text.exact(part.bytes),
            share=text.percent(part.bytes / total),
            layers=part.layers,
        )
        for part in parts
    ]
    return spans, table


def groups(report: Report) -> list[Group]:
    """Layers by reason: the binary ones, then the float ones by their work."""
    members: dict[tuple[bool, str], list[Layer]] = {}
    for layer in report.layers:
        reason = (
            ""
            if layer.binary
            else text.printable(layer.reason or words.DEFAULT_REASON[layer.part or "other"])
        )
        members.setdefault((layer.binary, reason), []).append(layer)
    ordered = sorted(
        members.items(),
        key=lambda item: (not item[0][0], -sum(layer.macs for layer in item[1]), item[0][1]),
    )
    return [
        Group(
            binary=binary,
            reason=reason or "1-bit weights on 1-bit activations",
            layers=len(layers),
            macs=text.count(sum(layer.macs for layer in layers)),
            bytes=text.size(_known_sum([layer.weight_bytes for layer in layers])),
            names=_some_names(layers),
        )
        for (binary, reason), layers in ordered
    ]


def _known_sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _some_names(layers: Sequence[Layer]) -> str:
    shown = [text.shorten(layer.name, LABEL) for layer in layers[:3]]
    more = len(layers) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def comparisons(report: Report) -> list[Comparison]:
    """How the tensors of each executor were compared, by rule and tolerance."""
    if report.check is None:
        return []
    kinds: dict[tuple[str, str, float, str], Comparison] = {}
    for name, executor in report.check.executors.items():
        if not isinstance(executor, ExecutorCheck):
            continue
        tensors = executor.tensors
        for key in sorted({(t.rule, t.tolerance, t.note or "") for t in tensors}):
            same = [t for t in tensors if (t.rule, t.tolerance, t.note or "") == key]
            rule, tolerance, note = key
            errors = [t.max_abs_error for t in same if t.max_abs_error is not None]
            kinds[name, *key] = Comparison(
                executor=words.EXECUTORS[name],
                rule=rule,
                tensors=len(same),
                inexact=sum(not t.exact for t in same),
                tolerance="equal" if rule == "integers" else text.tolerance(tolerance),
                worst=text.error(max(errors)) if errors else "",
                ties=sum(t.margin_ties for t in same),
                note=text.printable(note),
                wider=tolerance > DEFAULT_TOLERANCE,
            )
    return list(kinds.values())


def measurements(report: Report) -> list[Measurement]:
    """Whole inferences; a count of instructions is left out where the page gives it already."""
    return [
        Measurement(
            device=text.printable(speed.device),
            median=_amount(speed.median, speed.unit),
            least=_amount(speed.min, speed.unit),
            p95=_amount(speed.p95, speed.unit),
            threads=speed.threads,
            runs=speed.runs,
            kind=speed.kind,
        )
        for speed in report.speed
        if speed.unit != "instructions" or report.instructions is None
    ]


def _amount(value: float, unit: str) -> str:
    return text.nanoseconds(value) if unit == "ns" else f"{text.count(value)} {unit}"


def kinds_used(report: Report) -> list[tuple[str, str]]:
    """The kinds that the page's figures carry, each with what it means."""
    memory = report.memory
    used: set[str | None] = {"by sum", memory.flash_kind, memory.ram_kind, memory.stack_kind}
    used |= {speed.kind for speed in report.speed}
    if memory.tflite_bytes is not None:
        used.add("file")
    if memory.arena_bytes is not None:
        used.add("planned")
    if memory.float32_arena_bytes is not None or memory.arena_bound_bytes is not None:
        used.add("estimate")
    if report.instructions:
        used.add("emulated instructions")
    return [(kind, meaning) for kind, meaning in words.MEANING.items() if kind in used]
