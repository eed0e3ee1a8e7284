"""Networks of which some cannot be imported: the rest is told all the same, and what is in the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from inspection_nets import cut
from onnx import TensorProto
from small_onnx import Net

from r2b_edge.inspection import Inspection, inspect


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    net, outputs = cut()
    return inspect(net.save(tmp_path_factory.mktemp("cut") / "cut.onnx", *outputs))


def test_every_layer_is_there(found: Inspection) -> None:
    assert [(layer.name, layer.verdict) for layer in found.layers] == [
        ("before", "binary"), ("behind", "binary"), ("after", "binary"), ("product", "unsupported"),
    ]  # fmt: skip


def test_what_is_in_the_way(found: Inspection) -> None:
    reasons = {entry.name: (entry.op, entry.stage, entry.reason) for entry in found.unsupported}
    assert reasons["index"][:2] == ("ArgMax", "import")
    assert reasons["det"] == ("Det", "import", "this op is not supported")
    assert reasons["cast"] == ("Cast", "import", "it comes after 'index', which is not supported")
    assert reasons["product"][:2] == ("MatMul", "import")
    assert "must be a constant" in reasons["product"][2]
    assert set(reasons) == {"index", "det", "cast", "product"}
    assert not found.exportable
    assert found.totals.tflite_bytes is None
    assert found.totals.c_bytes is None


def test_the_rest_has_figures(found: Inspection) -> None:
    for layer in found.layers[:3]:
        assert layer.macs
        assert layer.weights_stored_bytes
        assert layer.becomes.tflite is not None
        assert "LceBconv2d" in layer.becomes.tflite
        assert layer.becomes.c is not None
        assert layer.zeros is not None
        assert layer.zeros.values > 0
    product = found.layers[3]
    assert (product.weights, product.macs, product.becomes.tflite) == (None, None, None)
    assert product.reason == found.unsupported[-1].reason


def test_an_input_that_no_graph_holds(tmp_path: Path) -> None:
    net = Net((1, 4), dtype=TensorProto.INT64)
    cast = net.op("Cast", "x", name="cast", to=TensorProto.FLOAT)
    net.op("Gemm", cast, np.eye(4, dtype=np.float32), name="fc")
    found = inspect(net.save(tmp_path / "net.onnx"))
    (layer,) = found.layers
    assert (layer.name, layer.verdict) == ("fc", "float")
    assert [(entry.name, entry.op) for entry in found.unsupported] == [
        ("x", "input"),
        ("cast", "Cast"),
    ]
    assert "float32" in found.unsupported[0].reason


def test_a_sign_behind_such_an_input(tmp_path: Path) -> None:
    """The input is run with seeded values all the same, of its own type."""
    net = Net((1, 4), dtype=TensorProto.INT64)
    cast = net.op("Cast", "x", name="cast", to=TensorProto.FLOAT)
    net.op("Gemm", net.op("Sign", cast), np.ones((4, 3), np.float32), name="fc")
    found = inspect(net.save(tmp_path / "net.onnx"))
    (layer,) = found.layers
    assert layer.verdict == "binary"
    assert layer.zeros is not None
    assert layer.zeros.values == 8 * 4
    assert layer.zeros.at_threshold == layer.zeros.differ > 0  # its integers are 0 and 1


def test_a_layer_that_no_output_needs_is_no_layer(tmp_path: Path) -> None:
    """The front end drops dead code, so that nothing is counted which never runs."""
    net = Net()
    net.conv("x", np.ones((2, 4, 1, 1), np.float32), name="dead")
    net.conv("x", np.ones((2, 4, 1, 1), np.float32), name="alive")
    found = inspect(net.save(tmp_path / "net.onnx"))
    assert [layer.name for layer in found.layers] == ["alive"]


def test_outputs_that_no_graph_holds(tmp_path: Path) -> None:
    """`export` refuses a constant and five axes, so that `inspect` has to tell of them."""
    net = Net((1, 4, 6, 6))
    y = net.conv(net.sign("x"), np.ones((4, 4, 1, 1), np.float32), name="conv")
    constant = net.op("Identity", net.constant(np.ones((1, 4), np.float32)))
    deep = net.op("Reshape", y, np.array([1, 2, 2, 6, 6]))
    found = inspect(net.save(tmp_path / "net.onnx", y, constant, deep))
    assert [(entry.name, entry.op, entry.stage) for entry in found.unsupported] == [
        (constant, "output", "import"), (deep, "output", "import"),
    ]  # fmt: skip
    assert not found.exportable
    assert found.layers[0].verdict == "binary"
