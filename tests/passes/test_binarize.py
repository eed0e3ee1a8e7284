"""Which convolutions become binary, with which border, scale and origin; and the reason where they do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto
from small_onnx import Net, floats, signs

from r2b_edge import ops, passes
from r2b_edge.errors import UnsupportedError
from r2b_edge.graph import Graph, LayerFinding, interpret

RANDOM = np.random.default_rng(6)
Build = Callable[[Net], str]
PADS = [1, 1, 1, 1]


def agree(net: Net, folder: Path) -> Graph:
    """The graph after all passes, which gives what onnxruntime gives on random data."""
    graph = passes.run(net.graph(folder))
    x = floats(RANDOM, *net.shape)
    want = net.onnxruntime(x)
    got = interpret.run(graph, {"x": x})
    for (name, value), tensor in zip(want.items(), graph.outputs, strict=True):
        np.testing.assert_allclose(
            got[tensor].reshape(value.shape), value, rtol=1e-5, atol=1e-5, err_msg=name
        )
    return graph


def findings(net: Net, folder: Path) -> list[LayerFinding]:
    """What the probe says of each layer, without the other passes."""
    graph = net.graph(folder)
    passes.run(graph, [passes.binarize])
    return graph.findings


def binary_convs(graph: Graph) -> list[ops.BinaryConv]:
    return [n.op for n in graph.nodes if isinstance(n.op, ops.BinaryConv)]


def zero_or_one(net: Net) -> str:
    return net.op("Sign", net.op("Relu", "x"))


def levels(low: float, high: float) -> Build:
    return lambda net: net.op("Where", net.op("GreaterOrEqual", "x", 0.2), high, low)


@pytest.mark.parametrize(
    ("build", "pad", "want"),
    [
        (lambda n: n.sign("x"), 0.0, 0),
        (lambda n: n.sign("x"), 1.0, 1),
        (lambda n: n.sign("x"), -1.0, -1),
        (zero_or_one, 0.0, -1),
        (zero_or_one, 1.0, 1),
        (zero_or_one, 0.5, 0),
        (levels(3.0, 5.0), 3.0, -1),
        (levels(3.0, 5.0), 4.0, 0),
        (levels(-0.72, 0.88), 0.88, 1),
        (levels(5.0, 0.0), 0.0, -1),
    ],
)
def test_the_border_in_bits(build: Build, pad: float, want: int, tmp_path: Path) -> None:
    net = Net()
    padded = net.op("Pad", build(net), np.array(PADS), pad, np.array([2, 3]))
    net.conv(padded, 0.3 * signs(RANDOM, 5, 4, 3, 3), floats(RANDOM, 5))
    (conv,) = binary_convs(agree(net, tmp_path))
    assert conv.pad_value == want
    assert conv.window.pads == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("build", "pad"), [(levels(-0.72, 0.88), 0.0), (lambda n: n.sign("x"), 0.5)]
)
def test_a_border_that_no_bit_stands_for(build: Build, pad: float, tmp_path: Path) -> None:
    net = Net()
    padded = net.op("Pad", build(net), np.array(PADS), pad, np.array([2, 3]))
    net.conv(padded, signs(RANDOM, 5, 4, 3, 3), name="layer")
    (finding,) = findings(net, tmp_path)
    assert (finding.name, finding.kind, finding.binary) == ("layer", "FloatConv", False)
    assert finding.reason.startswith(f"its border holds {pad:g}")


@pytest.mark.parametrize("low", [-0.72, -0.88, 0.0, 3.0])
def test_other_levels_without_a_border(low: float, tmp_path: Path) -> None:
    net = Net()
    net.conv(levels(low, 0.88)(net), 0.3 * signs(RANDOM, 5, 4, 3, 3), floats(RANDOM, 5))
    assert len(binary_convs(agree(net, tmp_path))) == 1


@pytest.mark.parametrize(
    "attributes", [{}, {"strides": [2, 2]}, {"dilations": [2, 2]}, {"group": 2}]
)
def test_geometry_is_kept(attributes: dict[str, object], tmp_path: Path) -> None:
    net = Net((1, 4, 8, 8))
    groups = int(str(attributes.get("group", 1)))
    weight = signs(RANDOM, 6, 4 // groups, 3, 3)
    net.conv(net.sign("x"), weight, pads=[1, 0, 2, 1], **attributes)
    (conv,) = binary_convs(agree(net, tmp_path))
    np.testing.assert_array_equal(conv.weight, weight)


def test_alphas_of_all_kinds(tmp_path: Path) -> None:
    """Per channel: ordinary, tiny, huge, and a channel of zeros."""
    alpha = np.float32([0.1, 1e-8, 3e4, 0.0]).reshape(4, 1, 1, 1)
    net = Net()
    net.conv(net.sign("x"), alpha * signs(RANDOM, 4, 4, 3, 3), np.float32([1, 2, 3, 4]), pads=PADS)
    graph = agree(net, tmp_path)
    (node,) = [n for n in graph.nodes if isinstance(n.op, ops.BinaryConv)]
    origin = graph.tensors[node.output].origin
    np.testing.assert_allclose(origin.scale, alpha.ravel(), rtol=1e-6)
    np.testing.assert_allclose(origin.offset, [1, 2, 3, 4])


def weights_case(
    change: Callable[[NDArray[np.float32]], object], size: int = 4
) -> NDArray[np.float32]:
    weight = np.float32(0.2) * signs(RANDOM, size, 4, 3, 3)
    change(weight)
    return weight


def _one_real(w: NDArray[np.float32]) -> None:
    w[1, 2, 1, 1] *= 1.001


def _ternary(w: NDArray[np.float32]) -> None:
    w[RANDOM.random(w.shape) < 0.3] = 0


def _one_zero(w: NDArray[np.float32]) -> None:
    w[0, 0, 0, 0] = 0


def _per_input_channel(w: NDArray[np.float32]) -> None:
    w *= np.float32([1, 2, 3, 4]).reshape(1, 4, 1, 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_one_real, "its weights are real: 1 of 144"),
        (_ternary, r"\d+ of 144 weights are 0"),
        (_one_zero, "1 of 144 weights are 0"),
        (_per_input_channel, "its weights are real: 108 of 144"),
    ],
)
def test_weights_that_are_not_binary(
    change: Callable[[NDArray[np.float32]], object], says: str, tmp_path: Path
) -> None:
    net = Net()
    net.conv(net.sign("x"), weights_case(change), name="layer")
    (finding,) = findings(net, tmp_path)
    assert not finding.binary
    assert finding.reason.startswith("its input is binary, but ")
    with pytest.raises(UnsupportedError, match=f"'layer' stays float: .*({says})"):
        passes.run(net.graph(tmp_path))


def test_one_zero_among_many_weights_counts_as_plus_one(tmp_path: Path) -> None:
    net = Net((1, 16, 4, 4))
    weight = signs(RANDOM, 70, 16, 3, 3)  # 10,080
    weight[3, 2, 1, 0] = 0
    net.conv(net.sign("x"), weight)
    graph = passes.run(net.graph(tmp_path))
    (conv,) = binary_convs(graph)
    weight[3, 2, 1, 0] = 1
    np.testing.assert_array_equal(conv.weight, weight)
    (finding,) = graph.findings
    assert finding.binary
    assert finding.note.startswith("1 weights are 0 and count as +1")


def test_weights_with_rounding_of_an_estimator(tmp_path: Path) -> None:
    """alpha * sign(w) - clip(w) + clip(w), folded: off by some ulp."""
    alpha, clipped = np.float32(0.0312), floats(RANDOM, 5, 4, 3, 3).clip(-1, 1)
    weight = alpha * signs(RANDOM, 5, 4, 3, 3) - clipped + clipped
    assert len(np.unique(np.abs(weight))) > 5
    net = Net()
    net.conv(net.sign("x"), weight, pads=PADS)
    assert len(binary_convs(agree(net, tmp_path))) == 1


def _two_bits(net: Net) -> str:
    a, b = net.sign("x"), net.sign(net.op("Sub", "x", 0.5))
    return net.op("Add", net.op("Mul", a, 2.0), b)


def _maxout(net: Net) -> str:
    return net.op("Max", net.op("Mul", "x", 0.5), "x")


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda n: "x", "its input is real"),
        (lambda n: n.op("Relu", "x"), "its input is real"),
        (_two_bits, "its input is no step: it takes 3 values"),
        (_maxout, "its input is real"),
    ],
)
@pytest.mark.parametrize("binary_weights", [False, True])
def test_inputs_that_are_not_binary(
    build: Build, says: str, binary_weights: bool, tmp_path: Path
) -> None:
    net = Net()
    weight = (signs if binary_weights else floats)(RANDOM, 5, 4, 3, 3)
    net.conv(build(net), weight, name="layer")
    (finding,) = findings(net, tmp_path)
    assert not finding.binary
    assert finding.kind == "FloatConv"
    assert finding.reason.startswith(says)
    assert finding.output == net.nodes[-1].output[0]


def test_a_dense_layer_on_bits_says_so(tmp_path: Path) -> None:
    net = Net((1, 4))
    net.op("Gemm", net.sign("x"), signs(RANDOM, 4, 3), name="head")
    (finding,) = findings(net, tmp_path)
    assert not finding.binary
    with pytest.raises(UnsupportedError, match=r".* has no float kernel; 'head' stays float"):
        passes.run(net.graph(tmp_path))


def test_a_flattened_binary_head(tmp_path: Path) -> None:
    """Flatten then a dense layer on bits is a binary convolution as large as the map."""
    net = Net((1, 4, 3, 3))
    net.op("Gemm", net.op("Flatten", net.sign("x")), signs(RANDOM, 36, 5), floats(RANDOM, 5))
    assert len(binary_convs(agree(net, tmp_path))) == 1


def test_convolutions_share_the_bits_that_they_read(tmp_path: Path) -> None:
    net = Net()
    z = net.sign(net.random_batch_norm("x", 4, RANDOM))
    net.op("Add", net.conv(z, signs(RANDOM, 5, 4, 1, 1)), net.conv(z, signs(RANDOM, 5, 4, 1, 1)))
    graph = agree(net, tmp_path)
    assert [type(n.op) for n in graph.nodes].count(ops.Step) == 1
    assert [f.binary for f in graph.findings] == [True, True]


def test_the_batch_norm_before_a_step_goes_into_its_threshold(tmp_path: Path) -> None:
    net = Net((1, 8, 6, 6))
    net.conv(net.sign(net.random_batch_norm("x", 8, RANDOM)), signs(RANDOM, 5, 8, 3, 3))
    graph = passes.run(net.graph(tmp_path), [passes.binarize])
    assert [type(n.op) for n in graph.nodes] == [ops.Step, ops.BinaryConv, ops.ChannelAffine]
    step = graph.nodes[0].op
    assert isinstance(step, ops.Step)
    assert set(step.direction.tolist()) == {1, -1}
    agree(net, tmp_path)


def test_origins_of_bits_and_dots(tmp_path: Path) -> None:
    """What the reference shows of them: z = middle + half * bit, conv = scale * dot + offset."""
    net = Net()
    z = zero_or_one(net)
    y = net.conv(z, np.float32(0.5) * signs(RANDOM, 5, 4, 3, 3), floats(RANDOM, 5), pads=PADS)
    graph = passes.run(net.graph(tmp_path))
    x = floats(RANDOM, *net.shape)
    shown = net.onnxruntime(x, z, y)
    values = interpret.run(graph, {"x": x})
    for kind, name in ((ops.Step, z), (ops.BinaryConv, y)):
        (node,) = [n for n in graph.nodes if isinstance(n.op, kind)]
        origin = graph.tensors[node.output].origin
        assert origin.onnx == name
        scale, offset = (np.reshape(v, (1, -1, 1, 1)) for v in (origin.scale, origin.offset))
        np.testing.assert_allclose(values[node.output] * scale + offset, shown[name], atol=1e-5)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda n: n.op("Tanh", "x"), "Tanh 'Tanh_0' on float32"),
        (lambda n: n.op("Cast", n.op("Greater", "x", 0.0), to=TensorProto.FLOAT), "Greater 'Greater_0' on float32"),
        (lambda n: n.op("Relu", n.op("Flatten", "x")), "the reshape 'Flatten_0'"),
        (
            lambda n: n.conv(n.op("Pad", "x", np.array(PADS), 1.0, np.array([2, 3])), floats(RANDOM, 2, 4, 3, 3)),
            "padded with 1, not 0",
        ),
    ],
)  # fmt: skip
def test_what_no_pass_understands_is_refused(build: Build, says: str, tmp_path: Path) -> None:
    net = Net()
    build(net)
    with pytest.raises(UnsupportedError, match=says):
        passes.run(net.graph(tmp_path))


def _relu(net: Net) -> str:
    return net.op("Relu", "x")


def _pooled_relu(net: Net) -> str:
    return net.op("MaxPool", net.op("Relu", "x"), kernel_shape=[2, 2], strides=[1, 1])


@pytest.mark.parametrize("source", [_relu, _pooled_relu])
def test_torchs_sign_of_what_a_relu_passed_is_zero_or_one(
    source: Callable[[Net], str], tmp_path: Path
) -> None:
    """Others read the ReLU too (a skip), so that the Step reads its output, which is 0 for half of the values."""
    net = Net()
    x = source(net)
    y = net.conv(net.op("Sign", x), signs(RANDOM, 4, 4, 3, 3), pads=PADS)
    net.op("Add", x, y)
    (conv,) = binary_convs(agree(net, tmp_path))
    assert conv.pad_value == -1


def test_torchs_sign_of_real_values_leaves_a_note(tmp_path: Path) -> None:
    net = Net()
    net.conv(net.op("Sign", "x"), signs(RANDOM, 4, 4, 3, 3), pads=PADS)
    (finding,) = passes.run(net.graph(tmp_path)).findings
    assert finding.binary
    assert finding.note.startswith("sign(0) = 0 of its input counts as +1")


@pytest.mark.parametrize("op", ["Greater", "Less"])
def test_thresholds_are_never_subnormal(op: str, tmp_path: Path) -> None:
    """x > 0 begins at the least subnormal float, which a backend that flushes it to zero takes for 0."""
    net = Net()
    hot = net.op("Cast", net.op(op, "x", 0.0), to=TensorProto.FLOAT)
    z = net.op("Sub", net.op("Mul", hot, 2.0), 1.0)
    net.conv(z, signs(RANDOM, 4, 4, 3, 3), pads=PADS)
    graph = passes.run(net.graph(tmp_path))
    (step,) = (node.op for node in graph.nodes if isinstance(node.op, ops.Step))
    size = np.abs(step.threshold)
    assert ((size == 0) | (size >= np.finfo(np.float32).tiny)).all()
    zeros = np.zeros((1, 4, 1, 1), np.float32)
    tops = {"Greater": -1, "Less": -1}  # neither 0 > 0 nor 0 < 0
    flipped = -1 if op == "Less" else 1  # a falling Step is turned around, its weights with it
    np.testing.assert_array_equal(step.reference(zeros), np.full_like(zeros, tops[op] * flipped))
