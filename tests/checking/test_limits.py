"""`check --max-instructions` and `--baseline`: what is slower, by how much, and what cannot be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from r2b_edge.checking.limits import Limits, slower
from r2b_edge.checking.revise import UNCOUNTED
from r2b_edge.errors import InputError, ToolMissingError
from r2b_edge.report import Build, Instructions, Layer, Memory, Model, Report, Step, Tool

COUNTS = (1_000_000, 90_000, 1_000, 100_000)
"""Of four steps, the third of them below a thousandth of all."""
OVERHEAD = 9_000


def report(counts: tuple[int, ...] | None = COUNTS, **changes: Any) -> Report:
    """Of a net of so many layers, a step each."""
    known = counts or (None,) * len(COUNTS)
    kernels = changes.pop("kernels", [f"kernel{i}" for i in range(len(known))])
    total = None
    if counts is not None:
        total = Instructions(total=sum(counts) + OVERHEAD, overhead=OVERHEAD, counter="a counter")
    fields = {
        "tool": Tool(name="r2b-edge", version="1"),
        "target": "rpi4",
        "model": Model(
            file="x.onnx", sha256="0" * 64, form="onnx", inputs=(), outputs=(),
            binary_macs=1, float_macs=0, binary_weights=1, float_weights=0,
        ),
        "memory": Memory(float32_weight_bytes=4),
        "layers": tuple(
            Layer(
                name=f"layer{i}", kind="BinaryConv", binary=True, macs=1, weight_bytes=1,
                output_shape=(1,), steps=(i,), instructions=known[i],
            )
            for i in range(len(known))
        ),
        "steps": tuple(
            Step(index=i, kernel=kernel, layer=f"layer{i}", instructions=known[i])
            for i, kernel in enumerate(kernels)
        ),
        "instructions": total,
        "build": Build(compiler="gcc 12"),
    }  # fmt: skip
    return Report.model_validate({**fields, **changes})


def with_step(index: int, count: int) -> tuple[int, ...]:
    return (*COUNTS[:index], count, *COUNTS[index + 1 :])


@pytest.mark.parametrize(
    ("counts", "lines"),
    [
        (COUNTS, []),
        ((1, 1, 1, 1), []),  # faster
        (with_step(1, 91_800), []),  # 2.0 %
        (with_step(1, 91_801), ["step 1, kernel1 of layer1: 91,801", "1 of 4 steps take over 2%"]),
        (with_step(2, 2_000), []),  # too small to be looked at alone
        (with_step(0, 1_020_000), []),
        (
            with_step(0, 1_024_001),
            ["step 0, kernel0 of layer0: 1,024,001 instructions, 2.4% more than 1,000,000",
             "one inference takes 1,224,001 instructions, 2.0% more than the baseline's 1,200,000; 2% are allowed"],
        ),
        (with_step(2, 25_001), ["one inference takes 1,224,001"]),
    ],
)  # fmt: skip
def test_what_is_slower(counts: tuple[int, ...], lines: list[str]) -> None:
    found = slower(report(counts), report())
    assert len(found) == len(lines)
    assert all(line.startswith(start) for line, start in zip(found, lines, strict=True))


def test_other_steps_are_compared_as_a_whole() -> None:
    """Fusion moved work from the last step to the second."""
    moved = report((1_000_000, 190_000, 1_000), kernels=["kernel0", "fused", "kernel2"])
    limits = Limits(baseline=report())
    assert limits.excess(moved) == []
    assert (
        limits.remark(moved) == "the baseline has other steps: only the total was compared with it"
    )
    assert limits.remark(report()) == ""
    (line,) = limits.excess(report((1_000_000, 250_000, 1_000), kernels=["kernel0", "fused", "x"]))
    assert line.startswith("one inference takes 1,260,000 instructions, 5.0% more")


def test_another_compiler_is_named() -> None:
    slow = report(with_step(0, 1_500_000), build=Build(compiler="gcc 13"))
    assert slower(slow, report())[-1].endswith("(built by gcc 12; now by gcc 13)")
    assert "built by" not in slower(report(with_step(0, 1_500_000)), report())[-1]
    assert slower(slow, report(), tolerance=0.5) == []


def test_a_number_of_instructions() -> None:
    assert Limits(most=1_200_000).excess(report()) == []
    told = "one inference takes 1,200,000 instructions, --max-instructions is 1,199,999"
    assert Limits(most=1_199_999).excess(report()) == [told]


def test_what_was_not_counted_is_not_within_a_limit() -> None:
    uncounted = report(None, notes=(f"{UNCOUNTED}QEMU 7.2 was built without plug-ins",))
    assert Limits().excess(uncounted) == []
    for limits in (Limits(most=1), Limits(baseline=report())):
        with pytest.raises(ToolMissingError, match="cannot be checked: QEMU 7"):
            limits.excess(uncounted)


def test_what_cannot_be_compared_is_told_before_anything_runs(tmp_path: Path) -> None:
    files = {
        "out": report(), "host": report(target="host"), "m4": report(target="stm32f405"), "bare": report(None),
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(content.to_json())
    out = tmp_path / "out.json"
    assert Limits.read(out, None, None) == Limits()
    assert Limits.read(out, 5, out) == Limits(5, files["out"])
    for folder, baseline, words in (
        (out, tmp_path / "m4.json", "is a report for stm32f405, and "),
        (out, tmp_path / "bare.json", "holds no counts of instructions"),
        (out, tmp_path / "none.json", "cannot read"),
        (tmp_path / "none", out, "cannot read"),
        (tmp_path / "host.json", None, "target host has none"),
    ):
        with pytest.raises(InputError, match=words):
            Limits.read(folder, 5, baseline)
