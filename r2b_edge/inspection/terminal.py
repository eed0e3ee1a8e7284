"""An inspection as a person reads it: every layer, why it is not binary, what it becomes, what stands in the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from r2b_edge.inspection.model import Becomes, Inspection, Layer
from r2b_edge.report import text
from r2b_edge.report.terminal import plain_table

LEAST_WIDTH = 60
WIDE = 100  # columns from which both sizes of the weights fit beside the rest
NAME = 16  # columns that the longest name gets at least

_VERDICT = {
    "binary": Text("binary", style="blue"),
    "binary weights": Text("±weights", style="cyan"),
    "float": Text("float", style="yellow"),
    "unsupported": Text("none", style="bold red"),
}
_GIVES = {
    "+1": "the model makes +1 of them, and so does the export",
    "-1": "the model takes the lower value there, and so does the export",
    "0": "the model makes 0 of them, the export +1",
    "mixed": "the model makes different values of them",
}


def print_inspection(inspection: Inspection, console: Console) -> None:
    """Print an inspection; the console decides on colour (NO_COLOR) and width.

    Args:
        inspection: what to print.
        console: where to, of at least 60 columns.
    """
    width = max(console.width, LEAST_WIDTH)
    for block in (_heading, _layers, _reasons, _notes, _zeros, _parts, _obstacles, _verdict):
        pieces = list(block(inspection, width))
        for piece in pieces:
            console.print(piece)
        if pieces:
            console.print()


def _heading(inspection: Inspection, width: int) -> Iterator[RenderableType]:
    model, totals = inspection.model, inspection.totals
    yield Text(
        f"{text.shorten(model.file, width - 20)} ({text.printable(model.form)})", style="bold"
    )
    sides = (model.inputs, model.outputs)
    told = (" + ".join(f"{t.dtype} {text.shape(t.shape)}" for t in side) for side in sides)
    yield Text(text.printable(" → ".join(told)))
    yield Text(
        f"{totals.binary_layers} of {text.plural(totals.layers, 'layer')} binary:"
        f" {_share(totals.binary_macs, totals.macs)} of {text.count(totals.macs)} MACs,"
        f" {_share(totals.binary_weights, totals.weights)} of {text.count(totals.weights)} weights"
    )


def _layers(inspection: Inspection, width: int) -> Iterator[RenderableType]:
    columns = [
        ("", "left"),
        ("channels", "right"),
        ("window", "left"),
        ("pad", "left"),
        ("MACs", "right"),
    ]
    sizes = ["float32"] if width >= WIDE else []
    table = plain_table("Layer", *columns, *((size, "right") for size in [*sizes, "stored"]), gap=2)
    rows = [_row(layer, bool(sizes)) for layer in inspection.layers]
    taken = sum(max(len(cell) for cell in column) + 2 for column in zip(*rows, strict=True))
    for layer, cells in zip(inspection.layers, rows, strict=True):
        name = Text(text.shorten(layer.name, max(NAME, width - taken - 2)))
        table.add_row(name, _VERDICT[layer.verdict], *cells[1:])
    if rows:
        yield table
        yield Text("pad: pixels, and (the value that they hold); stored: weights in C", style="dim")


def _row(layer: Layer, wide: bool) -> list[str]:
    """The cells behind the name; the first is a stand-in for the verdict's."""
    x, y, window = layer.input_shape, layer.output_shape, layer.window
    axis = 1 if window is not None else -1  # a Gemm or MatMul has its channels last
    channels = f"{x[axis]}→{y[axis]}" if x and y else ""
    cells = [_VERDICT[layer.verdict].plain, channels, _window(layer), _pad(layer)]
    cells.append("" if layer.macs is None else text.count(layer.macs))
    sizes = [layer.weights_float32_bytes] if wide else []
    return cells + ["" if n is None else text.size(n) for n in [*sizes, layer.weights_stored_bytes]]


def _window(layer: Layer) -> str:
    """`3×3/2 ÷8 *2`: kernel, stride, groups, dilation, as far as they are not 1."""
    window = layer.window
    if window is None:
        return layer.op if layer.op != "Gemm" else "dense"

    def unless_one(mark: str, values: Sequence[int]) -> str:
        if set(values) <= {1}:
            return ""
        return mark + (str(values[0]) if len(set(values)) == 1 else text.shape(values))

    groups = f" g{window.groups}" if window.groups > 1 else ""
    stride, dilation = unless_one("/", window.strides), unless_one(" d", window.dilations)
    return f"{text.shape(window.kernel)}{stride}{dilation}{groups}"


def _pad(layer: Layer) -> str:
    pads = layer.window.pads if layer.window is not None else ()
    if not any(pads):
        return ""
    sizes = str(pads[0]) if len(set(pads)) == 1 else ",".join(map(str, pads))
    return sizes if layer.border is None else f"{sizes} ({layer.border:g})"


def _reasons(inspection: Inspection, width: int) -> Iterator[RenderableType]:
    """Why each layer is not binary: those first that were probably meant to be; layers of one reason together."""
    grouped: dict[tuple[bool, str], list[Layer]] = {}
    for layer in inspection.layers:
        if layer.reason is not None:
            grouped.setdefault((not layer.suspect, layer.reason), []).append(layer)
    if grouped:
        yield Text("Why not binary", style="bold")
    for (plain, reason), layers in sorted(grouped.items(), key=lambda item: item[0][0]):
        style = "" if plain else "bold yellow"
        told = reason if plain else f"probably meant to be binary: {reason}"
        yield from _listed(told, [layer.name for layer in layers], style)


def _notes(inspection: Inspection, width: int) -> Iterator[RenderableType]:
    grouped: dict[str, list[str]] = {}
    for layer in inspection.layers:
        if layer.note is not None:
            grouped.setdefault(layer.note, []).append(layer.name)
    if grouped:
        yield Text("Binary, but", style="bold")
    for note, names in grouped.items():
        yield from _listed(note, names, "")
    yield from (Text(f"Note: {text.printable(note)}") for note in inspection.notes)


def _listed(told: str, names: Sequence[str], style: str) -> Iterator[RenderableType]:
    yield Padding(Text(text.printable(told), style=style), (0, 0, 0, 2), expand=False)
    shown = ", ".join(text.shorten(name, 60) for name in names)
    yield Padding(Text(shown, style="dim"), (0, 0, 0, 4), expand=False)


def _zeros(inspection: Inspection, width: int) -> Iterator[RenderableType]:
    """What lies exactly at the threshold of a sign on the samples."""
    if not inspection.samples.count:
        return
    kind = "seeded sample" if inspection.samples.seeded else "sample"
    yield Text("Exact zeros before a sign", style="bold").append(
        f" on {text.plural(inspection.samples.count, kind)}", style="not bold"
    )
    found = [(layer, layer.zeros) for layer in inspection.layers if layer.zeros is not None]
    told = False
    for layer, zeros in found:
        if zeros.at_threshold or zeros.differ:
            told = True
            share = text.percent(zeros.at_threshold / zeros.values)
            gives = _GIVES[zeros.model_gives] if zeros.model_gives is not None else "none at zero"
            line = f"{zeros.at_threshold:,} of {zeros.values:,} ({share}): {gives}"
            style = "yellow" if zeros.differ else ""
            yield from _listed(line, [layer.name], style)
    if not told:
        yield Padding(
            Text(f"none in {text.plural(len(found), 'binary layer')}"), (0, 0, 0, 2), expand=False
        )


def _parts(inspection: Inspection, width: int) -> Iterator[RenderableType]:
    if not inspection.parts:
        return
    target = text.printable(inspection.target or "any CPU")
    table = plain_table(
        "What it becomes", ("", "right"), ("model.tflite", "left"), (f"C, {target}", "left")
    )
    for part in inspection.parts:
        tflite, c = _becomes(part.becomes)
        table.add_row(Text(part.kind), str(part.count), tflite, c)
    yield table


def _becomes(becomes: Becomes) -> tuple[Text, Text]:
    missing = Text("none", style="bold red")
    if becomes.tflite is None:
        tflite = missing
    else:
        tflite = Text(" + ".join(becomes.tflite) or "fused", style="" if becomes.tflite else "dim")
    if becomes.c is None:
        return tflite, missing
    return tflite, Text(becomes.c, style="dim" if becomes.c == "epilogue" else "")


def _obstacles(inspection: Inspection, width: int) -> Iterator[RenderableType]:
    if inspection.unsupported:
        yield Text("Not supported", style="bold red")
    for entry in inspection.unsupported:
        named = repr(entry.name) in entry.reason
        line = "" if named else f"{text.printable(entry.op)} {text.shorten(entry.name, 60)}: "
        yield Padding(Text(line + text.printable(entry.reason)), (0, 0, 0, 2), expand=False)


def _verdict(inspection: Inspection, width: int) -> Iterator[RenderableType]:
    totals = inspection.totals
    if inspection.unsupported:
        yield Text("An export would be refused: see above", style="bold red")
    elif not totals.binary_layers:
        yield Text("An export would be refused: no layer is binary", style="bold red")
    else:
        sizes = f"float32 weights {text.size(totals.float32_bytes)}"
        if totals.c_bytes is not None and totals.tflite_bytes is not None:
            sizes += f"; all constants in C {text.size(totals.c_bytes)}"
            sizes += f", model.tflite {text.size(totals.tflite_bytes)}"
        yield Text("An export is possible. ", style="bold green").append(
            sizes, style="not bold default"
        )


def _share(part: int, whole: int) -> str:
    return text.percent(part / whole if whole else 0.0)
