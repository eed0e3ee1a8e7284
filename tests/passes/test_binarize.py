"""Which convolutions become binary, with which border, scale and origin; and the reason where they do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from binarised import PADS, Build, agree, binary_convs, findings, levels, zero_or_one
from onnx import TensorProto
from small_onnx import Net, floats, signs

from r2b_edge import ops, passes
from r2b_edge.errors import UnsupportedError
from r2b_edge.graph import interpret

RANDOM = np.random.default_rng(6)


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
    """The binary convolution runs with a border of 0, and a constant map adds what the border gives."""
    net = Net()
    padded = net.op("Pad", build(net), np.array(PADS), pad, np.array([2, 3]))
    net.conv(padded, 0.3 * signs(RANDOM, 5, 4, 3, 3), floats(RANDOM, 5), name="layer")
    graph = agree(net, tmp_path)
    assert [type(n.op) for n in graph.nodes][1:] == [ops.BinaryConv, ops.ChannelAffine, ops.ConstantMap]  # fmt: skip
    (finding,) = graph.findings
    assert (finding.name, finding.binary, finding.border) == ("layer", True, pad)


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


def _two_bits(net: Net) -> str:
    a, b = net.sign("x"), net.sign(net.op("Sub", "x", 0.5))
    return net.op("Add", net.op("Mul", a, 2.0), b)


def _maxout(net: Net) -> str:
    return net.op("Max", net.op("Mul", "x", 0.5), "x")


def _two_bit_round(net: Net) -> str:
    return net.op("Round", net.op("Clip", net.op("Mul", "x", 2.0), -2.0, 2.0))


@pytest.mark.parametrize(
    ("build", "says", "values"),
    [
        (lambda n: "x", "its input is real", 0),
        (lambda n: n.op("Relu", "x"), "its input is real", 0),
        (_two_bits, "its input takes 3 values: 2-bit activation", 3),
        (_two_bit_round, "its input takes 5 values: 2-bit activation", 5),
        (_maxout, "its input is real", 0),
    ],
)
@pytest.mark.parametrize("binary_weights", [False, True])
def test_inputs_that_are_not_binary(
    build: Build, says: str, values: int, binary_weights: bool, tmp_path: Path
) -> None:
    net = Net()
    weight = (signs if binary_weights else floats)(RANDOM, 5, 4, 3, 3)
    net.conv(build(net), weight, name="layer")
    (finding,) = findings(net, tmp_path)
    assert finding.kind == "FloatConv"
    assert finding.reason == says + ("; only its weights are binary" if binary_weights else "")
    assert finding.verdict == ("binary weights" if binary_weights else "float")
    assert (finding.binary, finding.suspect, finding.input_values) == (False, False, values)
    assert finding.output == net.nodes[-1].output[0]


def _as_integer(dtype: int) -> Build:
    """[x > 0] as an integer, doubled and less one before it is a float again."""

    def build(net: Net) -> str:
        kind = TensorProto.DataType.Name(dtype).lower()
        two, one = (np.array(v, kind) for v in (2, 1))
        hot = net.op("Cast", net.op("Greater", "x", 0.0), to=dtype)
        return net.op("Cast", net.op("Sub", net.op("Mul", hot, two), one), to=TensorProto.FLOAT)

    return build


@pytest.mark.parametrize("dtype", [TensorProto.INT32, TensorProto.INT64])
def test_a_sign_by_way_of_integers(dtype: int, tmp_path: Path) -> None:
    net = Net()
    net.conv(_as_integer(dtype)(net), signs(RANDOM, 5, 4, 3, 3), pads=PADS)
    (conv,) = binary_convs(agree(net, tmp_path))
    assert conv.pad_value == 0


def test_a_two_bit_activation_cut_to_integers(tmp_path: Path) -> None:
    """A Cast cuts towards zero."""
    net = Net()
    cut = net.op("Cast", net.op("Clip", "x", -1.9, 1.9), to=TensorProto.INT32)
    net.conv(net.op("Cast", cut, to=TensorProto.FLOAT), floats(RANDOM, 5, 4, 3, 3))
    (finding,) = agree(net, tmp_path).findings
    assert finding.input_values == 3


def test_integer_division_is_refused(tmp_path: Path) -> None:
    net = Net()
    hot = net.op("Cast", net.op("Greater", "x", 0.0), to=TensorProto.INT32)
    net.op("Cast", net.op("Div", hot, np.array(2, np.int32)), to=TensorProto.FLOAT)
    with pytest.raises(UnsupportedError, match=r"Div 'Div_2' on .*: of integers is not"):
        net.graph(tmp_path)


def test_a_two_bit_activation_runs_in_float(tmp_path: Path) -> None:
    net = Net()
    net.conv(_two_bit_round(net), floats(RANDOM, 5, 4, 3, 3))
    assert [type(n.op) for n in agree(net, tmp_path).nodes] == [ops.Staircase, ops.FloatConv]


def test_a_real_convolution_with_a_border_of_its_own(tmp_path: Path) -> None:
    net = Net()
    padded = net.op("Pad", "x", np.array(PADS), 1.5, np.array([2, 3]))
    net.conv(padded, floats(RANDOM, 2, 4, 3, 3), floats(RANDOM, 2))
    assert [type(n.op) for n in agree(net, tmp_path).nodes] == [ops.ChannelAffine, ops.FloatConv]


def test_a_skip_over_a_binarised_tensor(tmp_path: Path) -> None:
    net = Net()
    z = net.sign(net.random_batch_norm("x", 4, RANDOM))
    net.op("Add", net.conv(z, signs(RANDOM, 4, 4, 3, 3), pads=PADS), z)
    have = [type(n.op) for n in agree(net, tmp_path).nodes]
    assert have.count(ops.BinaryConv) == have.count(ops.Staircase) == 1


def test_two_values_that_differ_by_channel(tmp_path: Path) -> None:
    """A scale for each input channel of a convolution is no scale of its bits."""
    net = Net()
    net.conv(net.op("Mul", net.sign("x"), floats(RANDOM, 4, 1, 1)), signs(RANDOM, 5, 4, 3, 3))
    (finding,) = agree(net, tmp_path).findings
    assert not finding.binary
    assert finding.reason.startswith("its input takes two values, but not the same in all channels")


@pytest.mark.parametrize("scale", [0.5, -0.5])
@pytest.mark.parametrize("build", [zero_or_one, lambda n: n.sign("x"), levels(-0.5, 2.0)])
def test_bits_through_a_pool(build: Build, scale: float, tmp_path: Path) -> None:
    """Brevitas: a sign, its pool, a scale; the border of the pool never wins."""
    net = Net((1, 4, 8, 8))
    pooled = net.op("MaxPool", build(net), kernel_shape=[3, 3], strides=[2, 2], pads=PADS)
    net.conv(net.op("Mul", pooled, scale), 0.3 * signs(RANDOM, 5, 4, 3, 3), floats(RANDOM, 5))
    have = [type(n.op) for n in agree(net, tmp_path).nodes]
    assert have == [ops.Step, ops.BinaryMaxPool, ops.BinaryConv, ops.ChannelAffine]


def test_an_interval(tmp_path: Path) -> None:
    """A sign of what is not monotonic has two thresholds a channel."""
    net = Net()
    inside = net.op("And", net.op("Less", "x", 0.5), net.op("Greater", "x", -0.25))
    net.conv(net.op("Where", inside, 1.0, -1.0), signs(RANDOM, 5, 4, 3, 3), pads=PADS)
    have = [type(n.op) for n in agree(net, tmp_path).nodes]
    assert have[:3] == [ops.Staircase, ops.Step, ops.BinaryConv]


def test_binary_dense_layers_in_a_row(tmp_path: Path) -> None:
    net = Net((1, 40))
    y = net.op("Gemm", net.sign("x"), 0.1 * signs(RANDOM, 50, 40), floats(RANDOM, 50), transB=1)
    y = net.random_batch_norm(y, 50, RANDOM)
    y = net.random_batch_norm(net.op("MatMul", net.sign(y), signs(RANDOM, 50, 33)), 33, RANDOM)
    net.op("Gemm", net.op("Relu", y), floats(RANDOM, 33, 10), floats(RANDOM, 10), name="head")
    graph = agree(net, tmp_path)
    have = [type(n.op) for n in graph.nodes]
    assert (have.count(ops.BinaryConv), have.count(ops.Dense)) == (2, 1)
    assert [f.verdict for f in graph.findings] == ["binary", "binary", "float"]


def test_a_signal(tmp_path: Path) -> None:
    """[1, C, L]: convolutions, BatchNorm, pools and the mean over the length."""
    net = Net((1, 4, 21))
    y = net.conv(net.sign("x"), signs(RANDOM, 8, 4, 5), floats(RANDOM, 8), pads=[2, 1], strides=[2])
    y = net.op("MaxPool", net.random_batch_norm(y, 8, RANDOM), kernel_shape=[2], strides=[2])
    y = net.conv(net.sign(y), signs(RANDOM, 6, 4, 3), group=2, pads=[2, 2], dilations=[2])
    y = net.op("AveragePool", y, kernel_shape=[2], strides=[1], pads=[1, 0], count_include_pad=1)
    net.op("Gemm", net.op("ReduceMean", y, np.array([2]), keepdims=0), floats(RANDOM, 6, 3))
    graph = agree(net, tmp_path)
    assert len(binary_convs(graph)) == 2
    assert graph.own_shapes["x"] == (1, 4, 21)
    assert graph.type("x").shape == (1, 4, 1, 21)


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
        (lambda n: n.op("Pow", "x", 3.0), "Pow 'Pow_0' on float32"),
    ],
)  # fmt: skip
def test_what_no_pass_understands_is_refused(build: Build, says: str, tmp_path: Path) -> None:
    net = Net()
    build(net)
    with pytest.raises(UnsupportedError, match=says):
        passes.run(net.graph(tmp_path))


@pytest.mark.parametrize("pad", [0.0, 2.0, -0.5])
def test_a_border_of_the_sign_inside_of_the_convolutions_own(pad: float, tmp_path: Path) -> None:
    """Pad, sign, and a convolution that pads with zeros: the inner border is among the bits."""
    net = Net()
    z = net.sign(net.op("Pad", "x", np.array(PADS), pad, np.array([2, 3])))
    net.conv(z, signs(RANDOM, 5, 4, 3, 3), pads=PADS)
    (conv,) = binary_convs(agree(net, tmp_path))
    assert (conv.window.pads, conv.pad_value) == ((1, 1, 1, 1), 0)


def test_two_borders_of_zeros_are_one(tmp_path: Path) -> None:
    net = Net()
    z = net.op("Sign", net.op("Pad", "x", np.array(PADS), 0.0, np.array([2, 3])))
    net.conv(z, signs(RANDOM, 5, 4, 3, 3), pads=PADS)
    (conv,) = binary_convs(agree(net, tmp_path))
    assert (conv.window.pads, conv.pad_value) == ((2, 2, 2, 2), 0)


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
