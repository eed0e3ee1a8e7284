"""Weights in half precision and inputs in bytes, all the way: exact against the rounded reference, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from checking_nets import r2b_unit
from small_onnx import Net, floats

import r2b_edge
from r2b_edge import targets
from r2b_edge.checking.samples import random_samples, split_samples
from r2b_edge.errors import InputError
from r2b_edge.pipeline import Storage, graph_of, program_of
from r2b_edge.report import ExecutorCheck, Report

SHAPE = (1, 3, 12, 12)
SAMPLES = 5
HALF, BYTES, BOTH = Storage("fp16"), Storage(input_dtype="uint8"), Storage("fp16", "uint8")


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    """A network that normalises bytes itself: stem, a unit, a classifier."""
    random = np.random.default_rng(3)
    net = Net(SHAPE)
    x = net.op("Div", net.op("Sub", "x", 128.0), 60 + floats(random, 3, 1, 1))
    x = net.conv(x, floats(random, 8, 3, 3, 3), floats(random, 8), strides=[2, 2], pads=[1] * 4)
    x = r2b_unit(net, x, 8, random, "weights", "norm", "dense")
    mean = net.op("Flatten", net.op("GlobalAveragePool", x))
    net.op("Gemm", mean, floats(random, 8, 10), floats(random, 10))
    return net.save(tmp_path / "net.onnx")


def checked(onnx: Path, target: str, storage: Storage, out: Path) -> Report:
    """Exported and checked on images in bytes: exact, whatever is rounded."""
    options = r2b_edge.ExportOptions(name="net", storage=storage)
    r2b_edge.export(onnx, target=target, out=out, options=options)
    x = np.random.default_rng(1).integers(0, 256, (SAMPLES, *SHAPE[1:]), np.uint8)
    report = r2b_edge.check(out, samples=x, labels=np.zeros(SAMPLES, np.int64))
    assert r2b_edge.fault_of(report) == ""
    assert report.check is not None
    c = report.check.executors.c
    assert isinstance(c, ExecutorCheck)
    assert c.steps_exact == c.steps == len(report.steps)
    assert c.top1_agreement == SAMPLES
    return report


# Float weights: stem 8 * 27, gate 8 * 2 twice, classifier 8 * 10.
WEIGHTS = 8 * 27 + 2 * 8 * 2 + 80


def test_half_precision_on_a_pi(
    onnx: Path, tmp_path: Path, require_lce: None, require_tool: Callable[..., None]
) -> None:
    require_tool("cmake", "aarch64-linux-gnu-gcc", "qemu-aarch64")
    report = checked(onnx, "rpi4", HALF, tmp_path / "out")
    assert report.options["float_storage"] == "fp16"
    assert report.notes[0].startswith(f"{WEIGHTS:,} float weights are stored in half precision")
    assert report.model.inputs[0].dtype == "float32"
    assert report.check is not None
    effect = report.check.effect
    assert effect is not None
    assert effect.samples == SAMPLES
    assert effect.accuracy is not None
    # Rounding changes something, and little of it.
    assert effect.max_abs_error is not None
    assert 0 < effect.max_abs_error < 0.05 * effect.largest_output
    assert effect.top1_agreement is not None
    assert [line.of for line in effect.bits] == [SAMPLES * 8 * 6 * 6]
    (bits,) = effect.bits
    assert bits.flipped < 0.02 * bits.of


def test_bytes_on_a_pi(
    onnx: Path, tmp_path: Path, require_lce: None, require_tool: Callable[..., None]
) -> None:
    require_tool("cmake", "aarch64-linux-gnu-gcc", "qemu-aarch64")
    report = checked(onnx, "rpi4", BYTES, tmp_path / "out")
    assert report.model.inputs[0].dtype == "uint8"
    assert report.steps[0].kernel == "fconv_bytes_neon"
    assert report.check is not None
    assert report.check.effect is None
    (note,) = (n for n in report.notes if "uint8" in n)
    assert "model.onnx and model.tflite take the same numbers as float32" in note
    header = (tmp_path / "out/c/model/net.h").read_text()
    assert f"#define R2B_NET_INPUT0_BYTES {3 * 12 * 12} " in header
    assert (
        "static uint8_t input0[R2B_NET_INPUT0_BYTES];" in (tmp_path / "out/c/README.md").read_text()
    )
    x = np.full((1, *SHAPE[1:]), 0.5, np.float32)
    with pytest.raises(InputError, match="not all whole numbers from 0 to 255"):
        r2b_edge.check(tmp_path / "out", samples=x)


def test_both_on_a_microcontroller(
    onnx: Path, tmp_path: Path, require_lce: None, require_tool: Callable[..., None]
) -> None:
    require_tool("cmake", "arm-none-eabi-gcc", "qemu-system-arm")
    report = checked(onnx, "stm32f405", BOTH, tmp_path / "out")
    plain = program_of(graph_of(onnx, "net", BYTES), targets.load("stm32f405"), "net", "0" * 64)
    assert report.memory.weight_bytes == plain.weight_bytes - 2 * WEIGHTS
    assert sum(layer.weight_bytes or 0 for layer in report.layers) == report.memory.weight_bytes
    assert [step.kernel for step in report.steps] == [step.kernel for step in plain.steps]


def test_samples_in_bytes(onnx: Path) -> None:
    graph = graph_of(onnx, "net", BYTES)
    for sample in random_samples(graph):
        values = sample["x"]
        assert values.dtype == np.float32
        assert np.array_equal(values, np.clip(np.rint(values), 0, 255))
        assert values.max() > values.min() + 20
    whole = np.full((1, *SHAPE[1:]), 7.0, np.float32)
    assert split_samples(whole, graph)[0]["x"].max() == 7
    for wrong in (-1.0, 256.0, 0.5):
        with pytest.raises(InputError, match=r"whole numbers from 0 to 255.*give the bytes"):
            split_samples(whole + np.float32(wrong - 7), graph)
    assert split_samples(whole + np.float32(0.5), graph_of(onnx, "net"))


def test_an_unknown_storage_in_a_report(
    onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # nothing is built
    out = tmp_path / "out"
    r2b_edge.export(onnx, target="host", out=out)
    text = (out / "report.json").read_text()
    assert text.count('"fp32"') == 1
    (out / "report.json").write_text(text.replace('"fp32"', '"fp8"'))
    with pytest.raises(InputError, match="unknown float_storage"):
        r2b_edge.check(out)
