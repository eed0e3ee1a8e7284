"""The table of a network by part."""

from __future__ import annotations

import pytest

from benchmarks.network import markdown, parts
from r2b_edge.errors import InputError
from r2b_edge.report import Instructions, Layer, Memory, Model, Report, Step, Tool

LAYERS = (  # kind, part, instructions, MACs
    ("FloatConv", "stem", 1_000, 500),
    ("MaxPool", "other", 200, 0),
    ("Dense", "gate", 10, 5),
    ("BinaryConv", "binary", 4_000, 80_000),
    ("AvgPool", "other", 30, 0),
    ("FloatConv", "downsample", 300, 150),
    ("MaxPool", "other", 7, 0),  # behind no stem
    ("AvgPool", "other", 8, 0),  # before no downsample
    ("Dense", "classifier", 40, 20),
)
OVERHEAD = 5


def report(counted: bool) -> Report:
    total = sum(count for _, _, count, _ in LAYERS) + OVERHEAD
    return Report(
        tool=Tool(name="r2b-edge", version="1"),
        target="rpi4",
        model=Model(
            file="x.onnx", sha256="0" * 64, form="onnx", inputs=(), outputs=(),
            binary_macs=1, float_macs=0, binary_weights=1, float_weights=0,
        ),
        memory=Memory(float32_weight_bytes=4),
        layers=tuple(
            Layer(
                name=f"layer{i}", kind=kind, part=part, binary=part == "binary", macs=macs, weight_bytes=1,
                output_shape=(1,), steps=(i,), instructions=count if counted else None,
            )
            for i, (kind, part, count, macs) in enumerate(LAYERS)
        ),
        steps=tuple(
            Step(index=i, kernel="k", layer=f"layer{i}", instructions=count if counted else None)
            for i, (_, _, count, _) in enumerate(LAYERS)
        ),
        instructions=Instructions(total=total, overhead=OVERHEAD, counter="a counter") if counted else None,
    )  # fmt: skip


def test_pools_belong_to_what_they_serve() -> None:
    found = [(part.title, part.layers, part.instructions) for part in parts(report(True))]
    assert found == [
        ("binary convolutions, with what is fused", 1, 4_000),
        ("stem and its pool", 2, 1_200),
        ("downsamples and their pools", 2, 330),
        ("gates", 1, 10),
        ("classifier", 1, 40),
        ("all else", 2, 7 + 8 + OVERHEAD),
    ]


def test_the_table() -> None:
    lines = markdown(report(True)).splitlines()
    assert (
        lines[2] == "| binary convolutions, with what is fused | 1 | 0.004 | 71.4% | 0.1 | 20.00 |"
    )
    assert lines[-1].startswith("| **all** | 9 | 0.006 | 100.0% | 0.1 | ")


def test_a_report_without_counts() -> None:
    with pytest.raises(InputError, match="holds no instructions"):
        parts(report(False))
