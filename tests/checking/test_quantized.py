"""Float layers in 8-bit integers, all the way: exact against onnxruntime; what the report says of before and after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from checking_nets import r2b_unit
from small_onnx import Net, floats

import r2b_edge
from r2b_edge import targets
from r2b_edge.checking.compare import Comparer
from r2b_edge.checking.quantize import FLOAT_MODEL
from r2b_edge.checking.reference import Reference
from r2b_edge.errors import InputError
from r2b_edge.graph import interpret
from r2b_edge.graph.graph import Array
from r2b_edge.ops import QuantConv
from r2b_edge.pipeline import Storage, graph_of, program_of
from r2b_edge.report import ExecutorCheck, Report
from r2b_edge.report.collect import trained_parameters

SHAPE = (1, 3, 12, 12)
SAMPLES = 5
PLAIN = Storage()


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    """A stem on bytes or not, a unit, a classifier."""
    random = np.random.default_rng(3)
    net = Net(SHAPE)
    x = net.conv(
        "x", floats(random, 8, 3, 3, 3) / 99, floats(random, 8), strides=[2, 2], pads=[1] * 4
    )
    x = r2b_unit(net, x, 8, random, "weights", "norm", "dense")
    mean = net.op("Flatten", net.op("GlobalAveragePool", x))
    net.op("Gemm", mean, floats(random, 8, 10), floats(random, 10))
    return net.save(tmp_path / "net.onnx")


def images() -> Array:
    return np.random.default_rng(1).integers(0, 256, (SAMPLES, *SHAPE[1:]), np.uint8)


def exported(onnx: Path, target: str, out: Path, storage: Storage = PLAIN) -> Report:
    options = r2b_edge.ExportOptions(name="net", storage=storage, quantize_float=images())
    return r2b_edge.export(onnx, target=target, out=out, options=options)


def checked(onnx: Path, target: str, out: Path, storage: Storage = PLAIN) -> Report:
    exported(onnx, target, out, storage)
    report = r2b_edge.check(out, samples=images(), labels=np.zeros(SAMPLES, np.int64))
    assert r2b_edge.fault_of(report) == ""
    assert report.check is not None
    c = report.check.executors.c
    assert isinstance(c, ExecutorCheck)
    assert c.steps_exact == c.steps == len(report.steps)
    assert [s.kernel.split("_")[0] for s in report.steps].count("qconv") == 2
    return report


def test_on_a_pi_before_and_after(
    onnx: Path, tmp_path: Path, require_lce: None, require_tool: Callable[..., None]
) -> None:
    require_tool("cmake", "aarch64-linux-gnu-gcc", "qemu-aarch64")
    report = checked(onnx, "rpi4", tmp_path / "out")
    assert report.options["quantize_float"] == "int8"
    assert (tmp_path / "out" / FLOAT_MODEL).read_bytes() != (
        tmp_path / "out/model.onnx"
    ).read_bytes()
    assert report.check is not None
    effect = report.check.effect
    assert effect is not None
    assert (effect.samples, report.check.reference_accuracy is not None) == (SAMPLES, True)
    assert effect.accuracy is not None
    assert effect.max_abs_error is not None
    assert 0 < effect.max_abs_error < 0.1 * effect.largest_output
    assert [line.of for line in effect.bits] == [SAMPLES * 8 * 6 * 6]
    assert effect.bits[0].flipped < 0.05 * effect.bits[0].of
    parts = {layer.part: layer for layer in report.layers if layer.kind == "QuantConv"}
    assert set(parts) == {"stem", "classifier"}
    # 2 blocks of 4 outputs, 3 rows of 9 taps in runs of 4; scale and offset of 8 outputs. All of it stands for floats.
    assert parts["stem"].weight_bytes == parts["stem"].float_bytes
    assert 2 * 3 * 12 * 4 + 2 * 4 * 8 <= (parts["stem"].weight_bytes or 0) < 4 * 8 * 27
    # What is trained is counted as trained: weights and biases of all layers, BatchNorm's two, PReLU's slopes.
    trained = tmp_path / "out" / FLOAT_MODEL
    assert report.memory.float32_weight_bytes == 4 * trained_parameters(trained)
    before = program_of(graph_of(trained, "net"), targets.load("rpi4"), "net", "0" * 64)
    assert report.memory.weight_bytes < before.weight_bytes


def test_bytes_and_halves_beside_integers_on_a_microcontroller(
    onnx: Path, tmp_path: Path, require_lce: None, require_tool: Callable[..., None]
) -> None:
    require_tool("cmake", "arm-none-eabi-gcc", "qemu-system-arm")
    report = checked(onnx, "mps2-an385", tmp_path / "out", Storage("fp16", "uint8"))
    assert any("float weights are stored in half precision" in note for note in report.notes)


def test_the_model_as_trained_belongs_to_the_export(
    onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # nothing is built
    report = exported(onnx, "host", tmp_path / "out")
    assert any("in 8-bit integers, calibrated on 5 samples" in note for note in report.notes)
    (tmp_path / "out" / FLOAT_MODEL).unlink()
    with pytest.raises(InputError, match=r"cannot read .*model_float\.onnx.*export again"):
        r2b_edge.check(tmp_path / "out")


def test_samples_that_do_not_fit(onnx: Path, tmp_path: Path) -> None:
    options = r2b_edge.ExportOptions(quantize_float=images()[:, :2])
    with pytest.raises(InputError, match="samples have shape"):
        r2b_edge.export(onnx, target="host", out=tmp_path / "out", options=options)
    assert not (tmp_path / "out").exists()


def test_a_byte_on_the_edge_is_a_tie_and_another_one_is_not(
    onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole run that differs is traced to real values within rounding of the border of two bytes, or is a fault."""
    monkeypatch.setenv("PATH", str(tmp_path))
    exported(onnx, "host", tmp_path / "out")
    graph = graph_of(tmp_path / "out/model.onnx", "net")
    reference = Reference(tmp_path / "out/model.onnx", graph)
    comparer = Comparer(graph, reference)
    x = images()[:1].astype(np.float32)
    shown = reference.run({"x": x})
    name = next(
        n.inputs[0] for n in graph.nodes if isinstance(n.op, QuantConv) and n.inputs != ("x",)
    )
    values = interpret.run(graph, {"x": x})
    values[name] = reference.value(graph.tensors[name], shown)
    assert comparer.first_difference([name], values, shown) is None
    op = next(n.op for n in graph.nodes if isinstance(n.op, QuantConv) and n.inputs == (name,))
    assert isinstance(op, QuantConv)
    origin = graph.tensors[name].origin.onnx
    # The reference's first value lies just below the border of two bytes.
    border = np.float32((np.rint(values[name][0, 0] * op.inverse) + 0.5) / op.inverse)
    slack = np.float32(2e-6) * np.abs(values[name]).max()
    below, above, far = (values[name].copy() for _ in range(3))
    below[0, 0], above[0, 0], far[0, 0] = border - slack, border + slack, border + 2 / op.inverse
    shown[origin] = below.reshape(shown[origin].shape)
    tie = comparer.first_difference([name], {name: above}, shown)
    assert tie is not None
    assert (tie.name, tie.wrong, tie.margin_ties) == (name, 0, 1)
    fault = comparer.first_difference([name], {name: far}, shown)
    assert fault is not None
    assert (fault.name, fault.wrong) == (name, 1)
