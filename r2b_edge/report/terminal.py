"""The report as a person reads it on a terminal: facts, verdict, memory, check, and where the work is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from r2b_edge.report import summary, text
from r2b_edge.report.model import Executor, Layer, Report, Skipped

TOP = 5
_STATE_STYLE = {"exact": "bold green", "partial": "bold yellow", "inexact": "bold red"}
_NAME_SHARE = 0.42  # of the width: what is left takes the figures of every table


def print_report(report: Report, console: Console) -> None:
    """Print a report; the console decides on colour (NO_COLOR) and width.

    Args:
        report: the report.
        console: where to, of at least 60 columns.
    """
    blocks = (_heading, _memory, _check, _top, _shares, _speed, _notes)
    for block in blocks:
        for piece in block(report, max(console.width, 60)):
            console.print(piece)
        console.print()


def _heading(report: Report, width: int) -> list[Text]:
    model, target = report.model, text.printable(report.target)
    if report.target_core:
        target += f" ({text.printable(report.target_core)})"
    macs = summary.mac_share(report)
    return [
        Text(f"{text.shorten(model.file, width // 2)} → {target}", style="bold"),
        Text(summary.inputs_line(report)),
        Text(
            f"{text.count(macs.binary)} binary and {text.count(macs.real)} float MACs"
            f" ({text.percent(macs.fraction)} binary)"
        ),
    ]


def _memory(report: Report, width: int) -> list[Table]:
    memory = report.memory
    table = plain_table("Memory", ("size", "right"), ("how it is known", "left"))

    def row(name: str, value: int | None, how: str | None) -> None:
        table.add_row(name, _figure(text.size(value)), how if value is not None else "")

    row("weights in float32", memory.float32_weight_bytes, "by sum, as trained")
    row("weights in C", memory.weight_bytes, "by sum, every constant")
    table.add_row("  saving", _figure(text.times(memory.weight_saving)), "")
    row("model.tflite", memory.tflite_bytes, "file")
    row("flash", memory.flash_bytes, memory.flash_kind)
    row("RAM, peak", memory.ram_bytes, memory.ram_kind)
    row(
        "  arena",
        memory.arena_bytes,
        f"planned; no plan is below {_bound(memory.arena_bound_bytes)}",
    )
    row("  stack", memory.stack_bytes, memory.stack_kind)
    row("arena in float32", memory.float32_arena_bytes, "estimate, the same net")
    return [table]


def _check(report: Report, width: int) -> list[Text | Table]:
    verdict = summary.verdict(report.check)
    headline = Text(verdict.headline, style=_STATE_STYLE.get(verdict.state, "bold"))
    if report.check is None:
        return [headline]
    table = plain_table(
        "Check",
        ("steps exact", "right"),
        ("top-1", "right"),
        ("accuracy", "right"),
        ("output error", "right"),
        ("ties", "right"),
    )
    reasons = []
    for name, executor in report.check.executors.items():
        table.add_row(*_executor_row(name, executor))
        if isinstance(executor, Skipped):
            reasons.append(Text(f"{name}: {text.printable(executor.skipped)}"))
    notes = [
        Text(
            f"{name} step {tensor.step}: tolerance {text.tolerance(tensor.tolerance)}"
            f" ({text.printable(tensor.note or 'no reason given')})"
        )
        for name, tensor in summary.wider(report.check)
    ]
    effect = [Text(line)] if (line := summary.effect_line(report.check)) else []
    about = Text(
        "steps, ties: each step alone, on the reference's inputs; the rest: end to end",
        style="dim",
    )
    return [table, *reasons, *notes, *effect, about, headline]


def _executor_row(name: str, executor: Executor) -> tuple[Text | str, ...]:
    if isinstance(executor, Skipped):
        return (name, Text("skipped", style="yellow"), "", "", "", "")
    agreement = (
        "no classes"
        if executor.top1_agreement is None
        else f"{executor.top1_agreement:,}/{executor.samples:,}"
    )
    steps = Text(
        f"{executor.steps_exact}/{executor.steps}", style="green" if executor.exact else "bold red"
    )
    accuracy = "no labels" if executor.accuracy is None else text.percent(executor.accuracy)
    ties = text.exact(executor.margin_ties)
    return (name, steps, agreement, accuracy, text.error(executor.max_abs_error), ties)


def _top(report: Report, width: int) -> list[Table | str]:
    """The layers that cost most, by instructions and by bytes; what is not known is left out."""
    layers = report.layers
    spent = [(layer, layer.instructions) for layer in layers if layer.instructions is not None]
    stored = [(layer, layer.weight_bytes) for layer in layers if layer.weight_bytes is not None]
    total = report.instructions.total if report.instructions else sum(n for _, n in spent)
    tables: list[Table | str] = []
    if spent:
        tables += [_top_table("Most instructions", spent, total, text.count, width), ""]
    if stored:
        whole = sum(n for _, n in stored)
        tables += [_top_table("Most bytes in C", stored, whole, text.size, width), ""]
    return tables[:-1]


def _top_table(
    title: str,
    costs: Sequence[tuple[Layer, int]],
    total: int,
    shown: Callable[[int], str],
    width: int,
) -> Table:
    table = plain_table(title, ("", "left"), ("", "right"), ("share", "right"))
    for layer, cost in sorted(costs, key=lambda pair: -pair[1])[:TOP]:
        sort = Text("binary", style="blue") if layer.binary else Text("float", style="yellow")
        name = Text(text.shorten(layer.name, int(width * _NAME_SHARE)))
        table.add_row(name, sort, shown(cost), text.percent(cost / total if total else 0.0))
    return table


def _shares(report: Report, width: int) -> list[Table]:
    table = plain_table("Binary and float", ("binary", "right"), ("float", "right"), ("", "right"))
    rows: tuple[tuple[str, summary.Share | None, Callable[[int], str]], ...] = (
        ("MACs", summary.mac_share(report), text.count),
        ("weights in C", summary.byte_share(report), text.size),
        ("instructions", summary.instruction_share(report), text.count),
    )
    for name, share, shown in rows:
        if share is None:
            table.add_row(name, _figure(text.UNKNOWN), "", "")
        else:
            told = f"{text.percent(share.fraction)} binary" if share.fraction is not None else ""
            table.add_row(name, shown(share.binary), shown(share.real), told)
    return [table]


def _speed(report: Report, width: int) -> list[Text | Table]:
    lines: list[Text | Table] = []
    counted = report.instructions
    if counted is None:
        lines.append(Text(f"Instructions of one inference: {text.UNKNOWN}"))
    else:
        lines.append(
            Text.assemble(
                "Instructions of one inference: ",
                (text.exact(counted.total), "bold"),
                f", emulated ({text.printable(counted.counter)})",
            )
        )
    timed = [speed for speed in report.speed if speed.unit != "instructions"]
    if timed:
        table = plain_table("Speed", ("median", "right"), ("p95", "right"), ("threads", "right"))
        for speed in timed:
            shown = text.nanoseconds if speed.unit == "ns" else text.count
            name = Text(text.shorten(f"{speed.kind}: {speed.device}", int(width * _NAME_SHARE)))
            table.add_row(name, shown(speed.median), shown(speed.p95), str(speed.threads))
        lines.append(table)
    return lines


def _notes(report: Report, width: int) -> list[Text]:
    return [Text(f"Note: {text.printable(note)}") for note in report.notes]


def plain_table(title: str, *columns: tuple[str, str], gap: int = 3) -> Table:
    """A table without lines, `gap` blanks between its columns: the first column is named by the title."""
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="dim")
    table.add_column(Text(title, style="bold not dim"), overflow="fold")
    for name, justify in columns:
        table.add_column(name, justify="right" if justify == "right" else "left")
    return table


def _figure(shown: str) -> Text:
    return Text(shown, style="dim" if shown == text.UNKNOWN else "bold")


def _bound(bound: int | None) -> str:
    return "a bound not worked out" if bound is None else text.size(bound)
