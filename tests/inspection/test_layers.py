"""What `inspect` says of each layer: what it is, why, its geometry, its work, its sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from inspection_nets import CHANNELS, mixed, tied

from r2b_edge.inspection import Inspection, inspect
from r2b_edge.inspection.model import Layer


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    """Of the mixed network."""
    return inspect(mixed().save(tmp_path_factory.mktemp("mixed") / "mixed.onnx"))


def layer(found: Inspection, name: str) -> Layer:
    (one,) = [layer for layer in found.layers if layer.name == name]
    return one


def test_every_layer_is_there_in_order(found: Inspection) -> None:
    assert [(layer.name, layer.op, layer.verdict) for layer in found.layers] == [
        ("stem", "Conv", "float"),
        ("binary", "Conv", "binary"),
        ("ternary", "Conv", "float"),
        ("real", "Conv", "float"),
        ("one zero", "Conv", "float"),
        ("two bits", "Conv", "binary weights"),
        ("only weights", "Conv", "binary weights"),
        ("classifier", "Gemm", "float"),
    ]


@pytest.mark.parametrize(
    ("name", "words", "suspect"),
    [
        ("stem", ["its input is real"], False),
        ("ternary", ["192 of 576 weights are 0"], True),
        ("real", ["weights are real", "only the activation is binary", "--binarize-weights"], True),
        ("one zero", ["1 of 576 weights are 0"], True),
        ("two bits", ["its input takes 4 values", "2-bit activation"], False),
        ("only weights", ["its input is real"], False),
        ("classifier", ["its input is real"], False),
    ],
)
def test_it_says_why(found: Inspection, name: str, words: list[str], suspect: bool) -> None:
    one = layer(found, name)
    assert one.reason is not None
    assert [word for word in words if word not in one.reason] == []
    assert one.suspect == suspect


def test_a_binary_layer_needs_no_reason(found: Inspection) -> None:
    one = layer(found, "binary")
    assert (one.reason, one.suspect, one.input_values, one.zero_weights) == (None, False, 2, 0)


def test_geometry(found: Inspection) -> None:
    one = layer(found, "only weights").window
    assert one is not None
    assert (one.kernel, one.strides, one.pads, one.groups) == ((1, 1), (2, 2), (0, 0, 0, 0), 1)
    assert layer(found, "only weights").border is None
    assert layer(found, "only weights").output_shape == (1, 12, 5, 5)
    padded = layer(found, "binary")
    assert padded.window is not None
    assert padded.window.pads == (1, 1, 1, 1)
    assert padded.border == 0
    assert layer(found, "classifier").window is None
    assert layer(found, "classifier").input_shape == (1, 12)


def test_work_and_sizes(found: Inspection) -> None:
    weights = {"stem": 216, "binary": 576, "only weights": 96, "classifier": 60}
    macs = {"stem": 21_600, "binary": 57_600, "only weights": 12 * 8 * 25, "classifier": 60}
    for name, count in weights.items():
        one = layer(found, name)
        assert (one.weights, one.macs) == (count, macs[name])
        assert one.weights_float32_bytes == 4 * count
    # 9 taps of 8 output channels, each a word of 32 bits for 8 input channels
    assert layer(found, "binary").weights_stored_bytes == 4 * 9 * CHANNELS
    assert layer(found, "classifier").weights_stored_bytes == 4 * 60


def test_totals_are_the_sums(found: Inspection) -> None:
    totals, one = found.totals, layer(found, "binary")
    assert (totals.layers, totals.binary_layers) == (len(found.layers), 1)
    assert (totals.binary_macs, totals.binary_weights) == (one.macs, one.weights)
    assert totals.macs == sum(layer.macs or 0 for layer in found.layers)
    assert totals.weights == 216 + 5 * 576 + 96 + 60
    assert totals.float32_bytes == 4 * totals.weights


def test_what_it_was_made_from(found: Inspection) -> None:
    assert (found.model.file, found.model.form) == ("mixed.onnx", "onnx")
    assert [t.shape for t in found.model.inputs] == [(1, 3, 10, 10)]
    assert [t.shape for t in found.model.outputs] == [(1, 5)]


def test_a_network_without_any_binary_layer(tmp_path: Path) -> None:
    from small_onnx import Net, floats

    net = Net((1, 4, 6, 6))
    net.conv("x", floats(np.random.default_rng(0), 3, 4, 3, 3), name="conv")
    found = inspect(net.save(tmp_path / "net.onnx"))
    assert [(one.name, one.verdict) for one in found.layers] == [("conv", "float")]
    assert found.unsupported == ()
    assert not found.exportable
    assert found.samples.count == 0  # nothing to run them for


@pytest.mark.parametrize(
    ("activation", "gives", "differ"),
    [("sign", "0", True), ("sign of relu", "-1", False), ("not below", "+1", False)],
)
def test_exact_zeros_before_a_sign(
    activation: str, gives: str, differ: bool, tmp_path: Path
) -> None:
    samples = np.random.default_rng(4).integers(0, 3, (5, CHANNELS, 6, 6)).astype(np.uint8)
    found = inspect(tied(activation).save(tmp_path / "net.onnx"), samples=samples)
    zeros = layer(found, "conv").zeros
    count = int((samples == 0).sum())
    assert zeros is not None
    assert (zeros.values, zeros.at_threshold) == (samples.size, count)
    assert zeros.model_gives == gives
    assert zeros.differ == (count if differ else 0)
    assert (found.samples.count, found.samples.seeded) == (5, False)
    note = layer(found, "conv").note
    assert (note is not None and "sign(0) = 0" in note) == differ


def test_samples_without_zeros(tmp_path: Path) -> None:
    samples = np.ones((2, CHANNELS, 6, 6), np.float32)
    found = inspect(tied("sign").save(tmp_path / "net.onnx"), samples=samples)
    zeros = layer(found, "conv").zeros
    assert zeros is not None
    assert (zeros.at_threshold, zeros.model_gives, zeros.differ) == (0, None, 0)
