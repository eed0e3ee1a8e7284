"""Instructions of a whole network by part, as Markdown: python -m benchmarks.network [OUT | --target rpi4].

OUT is a checked export, or its report.json. Without one, Real-to-Binary ResNet-18 at 224x224 is exported for the target
and checked. All steps of a layer count for its part: packing, padding, tables, and the epilogue that is fused with it.
The figures are emulated instructions, never a time.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from r2b_edge import report
from r2b_edge.errors import InputError
from r2b_edge.report import Layer, Report

TITLES = {
    "binary": "binary convolutions, with what is fused",
    "stem": "stem and its pool",
    "downsample": "downsamples and their pools",
    "gate": "gates",
    "classifier": "classifier",
    "other": "all else",
}


@dataclass(frozen=True)
class Part:
    """A part of a network: layers, instructions and MACs of one inference."""

    title: str
    layers: int
    instructions: int
    macs: int


def parts(result: Report) -> list[Part]:
    """A checked report by parts, in the order of TITLES, empty ones left out.

    Raises:
        InputError: nothing counted its instructions.
    """
    if result.instructions is None:
        raise InputError("the report holds no instructions", "run `r2b-edge check` on its export")
    of_part: dict[str, list[Layer]] = {key: [] for key in TITLES}
    for before, layer, after in _with_neighbours(result.layers):
        of_part[_part(before, layer, after)].append(layer)
    found = [
        Part(
            title,
            len(of_part[key]),
            sum(layer.instructions or 0 for layer in of_part[key])
            # between the steps: of no layer
            + (result.instructions.overhead if key == "other" else 0),
            sum(layer.macs for layer in of_part[key]),
        )
        for key, title in TITLES.items()
    ]
    assert sum(part.instructions for part in found) == result.instructions.total
    return [part for part in found if part.instructions]


def _with_neighbours(
    layers: Sequence[Layer],
) -> list[tuple[Layer | None, Layer, Layer | None]]:
    padded = [None, *layers, None]
    triples = zip(padded, padded[1:], padded[2:], strict=False)
    return [(a, b, c) for a, b, c in triples if b is not None]


def _part(before: Layer | None, layer: Layer, after: Layer | None) -> str:
    """A key of TITLES: a pool belongs to the stem before it, or to the downsample behind it."""
    if layer.part in TITLES and layer.part != "other":
        return str(layer.part)
    if layer.kind == "MaxPool" and before is not None and before.part == "stem":
        return "stem"
    if layer.kind == "AvgPool" and after is not None and after.part == "downsample":
        return "downsample"
    return "other"


def markdown(result: Report) -> str:
    """The table."""
    rows = parts(result)
    every = Part(
        "**all**",
        sum(p.layers for p in rows),
        sum(p.instructions for p in rows),
        sum(p.macs for p in rows),
    )
    lines = [
        "| part | layers | M instructions | share | M MACs | MAC/insn |",
        "|---|---|---|---|---|---|",
    ]
    for part in itertools.chain(rows, [every]):
        share = part.instructions / every.instructions
        rate = f"{part.macs / part.instructions:.2f}" if part.macs else ""
        figures = f"{part.instructions / 1e6:.3f} | {share:.1%} | {part.macs / 1e6:,.1f} | {rate}"
        lines.append(f"| {part.title} | {part.layers} | {figures} |")
    return "\n".join(lines)


def load(folder: Path | None, target: str) -> Report:
    """The report of an export, or that of a fresh one of ResNet-18 for `target`."""
    if folder is not None:
        return report.read(folder)
    from benchmarks import resnet18

    with tempfile.TemporaryDirectory(prefix="r2b-benchmark-") as scratch:
        return resnet18.checked(target, Path(scratch, "out"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", nargs="?", type=Path, help="a checked export, or its report.json")
    parser.add_argument("--target", default="rpi4", help="of a fresh export")
    chosen = parser.parse_args(arguments)
    result = load(chosen.out, chosen.target)
    print(f"{result.model.file} on {result.target}, emulated instructions of one inference\n")
    print(markdown(result))


if __name__ == "__main__":
    main()
