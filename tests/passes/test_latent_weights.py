"""--binarize-weights: which layers of model.onnx are rewritten, and to what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from small_onnx import Net, floats, signs

from r2b_edge import passes
from r2b_edge.errors import InputError
from r2b_edge.frontend.reference import session
from r2b_edge.graph import LayerFinding, interpret
from r2b_edge.graph.from_onnx import from_onnx

RANDOM = np.random.default_rng(12)


def rewritten(net: Net, folder: Path) -> tuple[Path, list[str]]:
    path = net.save(folder / "model.onnx")
    return path, passes.binarize_weights(path)


def weights_of(path: Path) -> dict[str, np.ndarray]:
    """The weights of each layer by its node's name."""
    model = onnx.load(path)
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    layers = ("Conv", "Gemm", "MatMul")
    return {n.name: stored[n.input[1]] for n in model.graph.node if n.op_type in layers}


def findings_of(path: Path) -> list[LayerFinding]:
    return passes.run(from_onnx(path, "net")).findings


def estimate(weight: np.ndarray, axis: int) -> np.ndarray:
    others = tuple(a for a in range(weight.ndim) if a != axis)
    alpha = np.abs(weight).mean(axis=others, keepdims=True)
    return np.where(weight < 0, -alpha, alpha)


def test_a_convolution(tmp_path: Path) -> None:
    weight = floats(RANDOM, 5, 4, 3, 3)
    weight[0, 0, 0, 0] = 0
    net = Net()
    net.conv(net.sign("x"), weight, floats(RANDOM, 5), pads=[1] * 4, name="layer")
    path, names = rewritten(net, tmp_path)
    assert names == ["layer"]
    np.testing.assert_allclose(weights_of(path)["layer"], estimate(weight, 0), rtol=1e-6)
    (finding,) = findings_of(path)
    assert finding.binary


@pytest.mark.parametrize("kind", ["Gemm", "Gemm transB", "MatMul"])
def test_dense_layers(kind: str, tmp_path: Path) -> None:
    net = Net((1, 12))
    weight = floats(RANDOM, *((7, 12) if "transB" in kind else (12, 7)))
    attributes = {"transB": 1} if "transB" in kind else {}
    net.op(kind.split()[0], net.sign("x"), weight, name="layer", **attributes)
    path, names = rewritten(net, tmp_path)
    assert names == ["layer"]
    want = estimate(weight, 0 if attributes else 1)
    np.testing.assert_allclose(weights_of(path)["layer"], want, rtol=1e-6)
    assert findings_of(path)[0].binary


def test_other_layers_stay(tmp_path: Path) -> None:
    """A real input, binary weights, ternary weights; and one that shares its real weights with a binary input."""
    shared, ternary = floats(RANDOM, 4, 4, 3, 3), signs(RANDOM, 4, 4, 3, 3)
    ternary[RANDOM.random(ternary.shape) < 0.4] = 0
    binary = signs(RANDOM, 4, 4, 3, 3)
    net = Net((1, 4, 12, 12))
    name = net.constant(shared)
    y = net.op("Conv", "x", name, name="real")
    y = net.op("Conv", net.sign(y), name, name="latent")
    y = net.conv(net.sign(y), binary, name="binary")
    net.conv(net.sign(y), ternary, name="ternary")
    path, names = rewritten(net, tmp_path)
    assert names == ["latent"]
    have = weights_of(path)
    np.testing.assert_array_equal(have["real"], shared)
    np.testing.assert_array_equal(have["binary"], binary)
    np.testing.assert_array_equal(have["ternary"], ternary)
    assert [f.verdict for f in findings_of(path)] == ["float", "binary", "binary", "float"]
    assert passes.binarize_weights(path) == []


def test_the_graph_is_that_of_the_rewritten_file(tmp_path: Path) -> None:
    """What onnxruntime gives for the new file is what the graph gives: the check compares like with like."""
    net = Net()
    net.conv(net.sign("x"), floats(RANDOM, 5, 4, 3, 3), floats(RANDOM, 5), pads=[1] * 4)
    path, _ = rewritten(net, tmp_path)
    graph = passes.run(from_onnx(path, "net"))
    x = floats(RANDOM, *net.shape)
    (want,) = session(onnx.load(path)).run(None, {"x": x})
    got = interpret.run(graph, {"x": x})[graph.outputs[0]]
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_nothing_to_do_leaves_the_file(tmp_path: Path) -> None:
    net = Net()
    net.conv("x", floats(RANDOM, 5, 4, 3, 3))
    path = net.save(tmp_path / "model.onnx")
    before = path.read_bytes()
    assert passes.binarize_weights(path) == []
    assert path.read_bytes() == before


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(InputError):
        passes.binarize_weights(path)
