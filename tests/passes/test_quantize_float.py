"""Float layers in 8-bit integers: which ones, what numbers, and that all executors' op is what onnxruntime computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from small_onnx import Net, floats, signs

from r2b_edge import ops
from r2b_edge.checking.quantize import quantize
from r2b_edge.checking.reference import Reference
from r2b_edge.errors import InputError
from r2b_edge.graph import interpret
from r2b_edge.graph.from_onnx import from_onnx, read_onnx
from r2b_edge.graph.graph import Array, Graph, TensorType
from r2b_edge.graph.rounding import stored_weights
from r2b_edge.ops.integers import quantise
from r2b_edge.passes import run
from r2b_edge.passes.gates import gate_layers
from r2b_edge.pipeline import Storage, graph_of

SPATIAL = np.array([2, 3])
PADS = [1] * 4


def float_graph(path: Path) -> tuple[onnx.ModelProto, Graph]:
    """model.onnx and its graph as `quantize` takes them."""
    model = read_onnx(path)
    graph = from_onnx(model, "net")
    graph.stored_weights = stored_weights(graph, model)
    return model, run(graph)


def quantized(path: Path, samples: Array) -> tuple[list[str], Graph]:
    """Rewrite model.onnx; the notes, and the graph then."""
    model, graph = float_graph(path)
    notes = quantize(model, graph, samples)
    onnx.save(model, path)
    return notes, graph_of(path, "net")


def images(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def exact(graph: Graph, path: Path, x: Array) -> None:
    """Every tensor on the reference's own inputs: integers equal."""
    reference = Reference(path, graph)
    shown = reference.run({graph.inputs[0]: x})
    values = {name: reference.value(tensor, shown) for name, tensor in graph.tensors.items()}
    for node in graph.nodes:
        made, want = node.op.reference(*(values[i] for i in node.inputs)), values[node.output]
        if want.dtype == np.int32:
            assert np.array_equal(made, want), node.name
        elif want.dtype == np.float32:
            assert np.abs(made - want).max() <= 1e-5 * max(np.abs(want).max(), 1e-30), node.name


def gated(random: np.random.Generator) -> Net:
    """A stem with BatchNorm, a unit with a gate of two layers and a downsample, a classifier."""
    net = Net((1, 3, 8, 8))
    x = net.conv("x", floats(random, 8, 3, 3, 3), pads=PADS, name="stem")
    x = net.random_batch_norm(x, 8, random)
    norm = net.random_batch_norm(x, 8, random)
    mean = net.op("ReduceMean", norm, SPATIAL, keepdims=0)
    gate = net.op("Gemm", mean, floats(random, 8, 4), floats(random, 4), name="squeeze")
    gate = net.op("Gemm", net.op("Relu", gate), floats(random, 4, 16), name="excite")
    y = net.conv(net.sign(norm), signs(random, 16, 8, 3, 3), pads=PADS, strides=[2, 2])
    y = net.op("Mul", y, net.op("Unsqueeze", net.op("Sigmoid", gate), SPATIAL))
    down = net.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    down = net.conv(down, floats(random, 16, 8, 1, 1), floats(random, 16), name="downsample")
    y = net.op("Flatten", net.op("GlobalAveragePool", net.op("Add", y, down)))
    net.op("Gemm", y, floats(random, 16, 5), floats(random, 5), name="classifier")
    return net


def test_stem_downsample_and_classifier_but_no_gate(tmp_path: Path) -> None:
    path = gated(np.random.default_rng(0)).save(tmp_path / "net.onnx")
    before = graph_of(path, "net")
    notes, graph = quantized(path, images(1, 16, 3, 8, 8))
    assert notes == [
        "stem, downsample, classifier compute in 8-bit integers, calibrated on 16 samples; model_float.onnx is the "
        "network as trained. model.tflite holds the same integers as float32",
        "squeeze, excite stay float: gates stay float",
    ]
    kinds = {node.name: type(node.op) for node in graph.nodes}
    integers = [name for name, kind in kinds.items() if kind is ops.QuantConv]
    assert integers == ["stem", "downsample", "classifier"]
    was, now = ({n.name: n.op for n in g.nodes if isinstance(n.op, ops.Dense)} for g in (before, graph))  # fmt: skip
    assert list(now) == ["squeeze", "excite"]
    for name, op in now.items():
        assert np.array_equal(op.weight, was[name].weight)
        assert np.array_equal(op.bias, was[name].bias)
    for seed in (2, 3):
        exact(graph, path, 2 * images(seed, 1, 3, 8, 8))


def test_numbers_and_their_errors(tmp_path: Path) -> None:
    """A layer is off by half a step of its input a weight, and half a step of the weights an input, at the most."""
    random = np.random.default_rng(0)
    net = Net((1, 3, 6, 6))
    weight, bias = floats(random, 7, 3, 3, 3), floats(random, 7)
    weight[3] = 0
    net.conv("x", weight, bias, pads=PADS)
    path = net.save(tmp_path / "net.onnx")
    x = images(1, 1, 3, 6, 6)
    want = net.onnxruntime(x)["t0"]
    _, graph = quantized(path, x)
    op = next(n.op for n in graph.nodes if isinstance(n.op, ops.QuantConv))
    assert np.abs(op.weight).reshape(7, -1).max(axis=1).tolist() == [127, 127, 127, 0, 127, 127, 127]  # fmt: skip
    low, high = float(x.min()), float(x.max())
    step = (high - low) / 255
    assert op.inverse == np.float32(255 / (high - low))
    assert op.zero_point == round(-low / step)
    q = quantise(x, op.inverse, op.zero_point)
    assert (q.min(), q.max()) == (-op.zero_point, 255 - op.zero_point)
    made = interpret.run(graph, {"x": x})[graph.outputs[0]]
    steps = np.abs(weight).reshape(7, -1).max(axis=1) / 127
    bound = np.abs(weight).sum(axis=(1, 2, 3)) * step + 27 * steps / 2 * np.abs(x).max()
    error = np.abs(made - want).max(axis=(0, 2, 3))
    assert (error <= bound + 1e-5).all()
    assert error.max() > 1e-4


@pytest.mark.parametrize(
    "form", ["flat", "gemm", "gemm_alpha", "matmul", "signal", "pad", "vector"]
)
def test_every_form_of_layer(form: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    shape: tuple[int, ...] = (1, 7)
    if form == "signal":
        net = Net(shape := (1, 3, 9))
        net.conv("x", floats(random, 4, 3, 5), floats(random, 4), pads=[2, 2])
    elif form == "flat":
        net = Net(shape := (1, 3, 2, 2))
        net.op("Gemm", net.op("Flatten", "x"), floats(random, 5, 12), floats(random, 5), transB=1)
    elif form == "pad":
        net = Net(shape := (1, 3, 5, 4))
        padded = net.op("Pad", "x", np.array([0, 0, 1, 2, 0, 0, 0, 1]), 0.0)
        net.conv(padded, floats(random, 4, 3, 3, 3), strides=[2, 1])
    elif form == "vector":
        net = Net(shape := (1, 3, 5, 4))
        net.conv(net.op("GlobalAveragePool", "x"), floats(random, 4, 3, 1, 1), floats(random, 4))
    else:
        net = Net(shape)
        alpha = {"alpha": -0.3, "beta": 2.0} if form == "gemm_alpha" else {}
        if form == "matmul":
            net.op("MatMul", "x", floats(random, 7, 5))
        else:
            net.op("Gemm", "x", floats(random, 7, 5), floats(random, 5), **alpha)
    path = net.save(tmp_path / "net.onnx")
    x = images(1, 4, *shape[1:])
    want = net.onnxruntime(x[:1])[net.nodes[-1].output[0]]
    _, graph = quantized(path, x)
    assert sum(isinstance(n.op, ops.QuantConv) for n in graph.nodes) == 1
    assert not any(isinstance(n.op, ops.Gather) for n in graph.nodes), "zeros that the border holds"
    exact(graph, path, 2 * images(2, *graph.type("x").shape).reshape(graph.own_shapes["x"]))
    made = Reference(path, graph).run({"x": x[:1]})[net.nodes[-1].output[0]]
    assert np.abs(made - want).max() < 0.02 * np.abs(want).max()


def test_bytes_are_integers_already(tmp_path: Path) -> None:
    net = Net((1, 3, 5, 4))
    net.conv("x", floats(np.random.default_rng(0), 4, 3, 3, 3))
    path = net.save(tmp_path / "net.onnx")
    model, graph = float_graph(path)
    graph.uint8_inputs = frozenset(graph.inputs)
    quantize(model, graph, np.full((2, 3, 5, 4), 7, np.uint8))
    onnx.save(model, path)
    graph = graph_of(path, "net", Storage(input_dtype="uint8"))
    (op,) = (n.op for n in graph.nodes if isinstance(n.op, ops.QuantConv))
    assert (op.inverse, op.zero_point) == (1.0, 0)


def test_halves_go_to_the_even_neighbour_and_ends_hold() -> None:
    x = np.float32([[0.5, 1.5, -0.5, -2.5, 1e30, -1e30, np.inf, 126.5, -0.0, 1e-45]])
    q = quantise(x, 1.0, 128)
    assert q.tolist() == [[0, 2, 0, -2, 127, -128, 127, 126, 0, 0]]


def two_branches(random: np.random.Generator, form: str) -> Net:
    """A product in whose factors there are layers `map` and `other`, behind a layer `before` that both read."""
    net = Net((1, 4, 6, 6))
    x = net.conv("x", floats(random, 4, 4, 1, 1), name="before")
    a = net.conv(x, floats(random, 4, 4, 1, 1), name="map")
    if form == "channels":
        mean = net.op("GlobalAveragePool", x)
        b = net.conv(mean, floats(random, 4, 4, 1, 1), name="other")
    elif form == "pixels":
        b = net.conv(x, floats(random, 1, 4, 1, 1), name="other")
    else:
        b = net.conv(x, floats(random, 4, 4, 1, 1), name="other")
    if form == "quotient":
        b = net.op("Exp", b)
    net.op("Div" if form == "quotient" else "Add" if form == "sum" else "Mul", a, b)
    return net


@pytest.mark.parametrize(
    ("form", "gates"),
    [
        ("channels", {"other"}), ("pixels", {"other"}), ("equal", {"map", "other"}), ("quotient", {"map", "other"}),
        ("sum", set()),
    ],
)  # fmt: skip
def test_what_a_gate_is(form: str, gates: set[str], tmp_path: Path) -> None:
    path = two_branches(np.random.default_rng(0), form).save(tmp_path / "net.onnx")
    graph = graph_of(path, "net")
    assert gate_layers(graph) & {"before", "map", "other"} == gates
    notes, graph = quantized(path, images(1, 3, 4, 6, 6))
    kept = {n.name for n in graph.nodes if isinstance(n.op, ops.FloatConv | ops.Dense)}
    assert kept == gates
    assert len(notes) == 1 + bool(gates)


def test_what_stays_float_and_why(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    net = Net((1, 4, 9, 9))
    x = net.conv("x", floats(random, 4, 2, 3, 3), group=2, name="grouped")
    x = net.conv(x, floats(random, 4, 4, 2, 2), dilations=[2, 2], name="dilated")
    moved = net.op("Transpose", x, perm=[0, 2, 3, 1])
    x = net.op("Gemm", net.op("Flatten", moved), floats(random, 100, 5), name="moved")
    net.op("Gemm", x, floats(random, 5, 3), name="small")
    path = net.save(tmp_path / "net.onnx")
    model, graph = float_graph(path)
    (done, *others) = quantize(model, graph, images(1, 3, 4, 9, 9))
    assert done.startswith("small computes in 8-bit integers, calibrated on 3 samples")
    assert others == [
        "grouped stays float: it has groups",
        "dilated stays float: it has dilations",
        "moved stays float: model.onnx does not hold its weights one by one",
    ]


@pytest.mark.parametrize("inputs", [518, 519])
def test_sums_that_float32_cannot_hold(inputs: int, tmp_path: Path) -> None:
    """518 weights of 127 times 255 are 16,775,430, below 2^24 = 16,777,216; with one more they are not."""
    net = Net((1, inputs))
    net.op("Gemm", net.op("Relu", "x"), np.ones((inputs, 2), np.float32), name="dense")
    path = net.save(tmp_path / "net.onnx")
    model, graph = float_graph(path)
    if inputs < 519:
        quantize(model, graph, images(1, 3, inputs))
    else:
        with pytest.raises(InputError, match=r"dense stays float: its sums could reach 2\^24"):
            quantize(model, graph, images(1, 3, inputs))
    weight = np.full((2, inputs, 1, 1), 127, np.int8)
    if inputs == 519:
        with pytest.raises(ValueError, match="sums of 2"):
            ops.QuantConv(weight, 1.0, 0).infer(TensorType((1, inputs)))


def test_an_input_that_is_always_0(tmp_path: Path) -> None:
    net = Net((1, 7))
    net.op("Gemm", "x", floats(np.random.default_rng(0), 7, 5), name="dense")
    model, graph = float_graph(net.save(tmp_path / "net.onnx"))
    with pytest.raises(InputError, match=r"dense stays float: its input is 0 in all samples"):
        quantize(model, graph, np.zeros((2, 7), np.float32))
