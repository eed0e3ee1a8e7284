"""Each pass keeps what the network computes, on random graphs, and does what it is for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_onnx import Net, floats, signs

from r2b_edge import ops, passes
from r2b_edge.graph import Graph, interpret
from r2b_edge.graph.spec import verify

RANDOM = np.random.default_rng(7)
SPATIAL = np.array([2, 3])


def kinds(graph: Graph) -> list[type]:
    return [type(n.op) for n in graph.nodes]


def same(net: Net, folder: Path, rewrites: list[passes.Pass]) -> Graph:
    """The graph after the passes; outputs and origins are compared before, after and with onnxruntime."""
    before = net.graph(folder)
    after = passes.run(net.graph(folder), rewrites)
    x = floats(RANDOM, *net.shape)
    shown = net.onnxruntime(x, *{t.origin.onnx for t in after.tensors.values()} - {"x"})
    old, new = interpret.run(before, {"x": x}), interpret.run(after, {"x": x})
    for a, b in zip(before.outputs, after.outputs, strict=True):
        np.testing.assert_allclose(new[b], old[a], rtol=1e-5, atol=1e-5 * np.abs(old[a]).max())
    for tensor in after.tensors.values():
        want = (shown | {"x": x})[tensor.origin.onnx].reshape(tensor.type.shape)
        column = (1, -1, 1, 1)[: want.ndim]
        scale, offset = (np.reshape(v, column) for v in (tensor.origin.scale, tensor.origin.offset))
        bound = 1e-5 * np.abs(want).max() + 1e-30
        np.testing.assert_allclose(new[tensor.name] * scale + offset, want, rtol=0, atol=bound)
    return after


def test_affine_maps_fold_into_each_other_and_into_layers(tmp_path: Path) -> None:
    net = Net()
    y = net.random_batch_norm(net.conv("x", floats(RANDOM, 5, 4, 3, 3)), 5, RANDOM)
    y = net.op("Mul", net.op("Add", y, floats(RANDOM, 1, 5, 1, 1)), 0.3)
    y = net.op("ReduceMean", y, SPATIAL, keepdims=0)
    y = net.op("Mul", net.op("Gemm", net.op("Mul", y, 0.5), floats(RANDOM, 5, 3)), 0.1)
    net.op("Add", y, floats(RANDOM, 3))
    graph = same(net, tmp_path, [passes.fold_affine])
    assert kinds(graph) == [ops.FloatConv, ops.GlobalAvgPool, ops.Dense]


def test_an_affine_map_that_others_read_or_that_meets_a_border_stays(tmp_path: Path) -> None:
    net = Net()
    y = net.random_batch_norm("x", 4, RANDOM)
    net.op("Add", net.conv(y, floats(RANDOM, 4, 4, 3, 3), pads=[1] * 4), y)
    assert kinds(same(net, tmp_path, [passes.fold_affine])).count(ops.ChannelAffine) == 1


def test_a_layer_that_is_an_output_keeps_its_values(tmp_path: Path) -> None:
    net = Net()
    y = net.conv("x", floats(RANDOM, 4, 4, 3, 3))
    z = net.op("Mul", y, 2.0)
    before, after = net.graph(tmp_path, y, z), net.graph(tmp_path, y, z)
    passes.run(after, [passes.fold_affine])
    x = floats(RANDOM, *net.shape)
    old, new = interpret.run(before, {"x": x}), interpret.run(after, {"x": x})
    for name in (y, z):
        np.testing.assert_array_equal(old[name], new[name])


def test_the_mean_of_an_affine_map_is_taken_before_it(tmp_path: Path) -> None:
    net = Net()
    y = net.random_batch_norm("x", 4, RANDOM)
    net.op("Add", net.op("GlobalAveragePool", y), net.op("ReduceMean", y, SPATIAL))
    graph = same(net, tmp_path, [passes.hoist_mean])
    assert kinds(graph)[0] is ops.GlobalAvgPool
    assert graph.nodes[0].inputs == ("x",)


def test_the_mean_stays_where_the_map_is_needed_too(tmp_path: Path) -> None:
    net = Net()
    y = net.random_batch_norm("x", 4, RANDOM)
    net.op("Mul", y, net.op("GlobalAveragePool", y))
    graph = same(net, tmp_path, [passes.hoist_mean])
    assert kinds(graph)[0] is ops.ChannelAffine


def gated(alpha_on_gate: float | np.ndarray, channels: int = 4) -> Net:
    net = Net((1, channels, 6, 6))
    gate = net.op("Sigmoid", net.op("GlobalAveragePool", "x"))
    gate = net.op("Mul", gate, np.asarray(alpha_on_gate, np.float32))
    weight = 0.2 * signs(RANDOM, channels, channels, 3, 3)
    net.op("Mul", net.conv(net.sign("x"), weight, floats(RANDOM, channels), pads=[1] * 4), gate)
    return net


BINARY: list[passes.Pass] = [passes.binarize, passes.fold_affine]


def test_a_scale_leaves_the_gate_for_the_convolution(tmp_path: Path) -> None:
    net = gated(floats(RANDOM, 4, 1, 1))
    graph = same(net, tmp_path, [*BINARY, passes.gate_scale])
    (product,) = [n for n in graph.nodes if isinstance(n.op, ops.Mul)]
    makers = {type(graph.producers()[i].op) for i in product.inputs}
    assert makers == {ops.ChannelAffine, ops.Sigmoid}


def test_a_scale_with_a_zero_stays_at_the_gate(tmp_path: Path) -> None:
    net = gated(np.float32([1, 0, 2, 3]).reshape(4, 1, 1))
    graph = same(net, tmp_path, [*BINARY, passes.gate_scale])
    assert kinds(graph).count(ops.ChannelAffine) == 2


@pytest.mark.parametrize("pad", [0.0, 1.0])
@pytest.mark.parametrize("groups", [1, 2])
def test_falling_steps_are_flipped_where_weights_can_take_the_sign(
    pad: float, groups: int, tmp_path: Path
) -> None:
    net = Net((1, 8, 6, 6))
    z = net.sign(net.random_batch_norm("x", 8, RANDOM))
    padded = net.op("Pad", z, np.ones(4, np.int64), pad, SPATIAL)
    net.conv(padded, signs(RANDOM, 6, 8 // groups, 3, 3), group=groups)
    graph = same(net, tmp_path, [*BINARY, passes.flip_steps])
    (step,) = [n.op for n in graph.nodes if isinstance(n.op, ops.Step)]
    assert (step.direction == 1).all() == (pad == 0 and groups == 1)


def test_a_flipped_step_is_the_complement_at_its_threshold(tmp_path: Path) -> None:
    net = Net((1, 1, 1, 3))
    z = net.op("Where", net.op("LessOrEqual", "x", 0.3), 1.0, -1.0)
    net.conv(z, np.ones((1, 1, 1, 1), np.float32))
    t = np.float32(0.3)
    x = np.float32([np.nextafter(t, np.float32(0)), t, np.nextafter(t, np.float32(1))]).reshape(
        net.shape
    )
    graph = passes.run(net.graph(tmp_path))
    (out,) = (interpret.run(graph, {"x": x})[name] for name in graph.outputs)
    assert out.ravel().tolist() == [1, 1, -1]


@st.composite
def networks(draw: st.DrawFn) -> Net:
    """A random network of binary and real layers, gates and skips."""
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    channels, size = draw(st.sampled_from([2, 4])), 6
    net = Net((1, channels, size, size))
    maps = ["x"]
    blocks = ["binary", "real", "norm", "prelu", "gate", "skip", "clip"]
    for block in draw(st.lists(st.sampled_from(blocks), min_size=2, max_size=8)):
        x = maps[-1]
        if block == "binary":
            bits = net.sign(net.random_batch_norm(x, channels, random))
            alpha = random.uniform(0.1, 1, (channels, 1, 1, 1)).astype(np.float32)
            weight = alpha * signs(random, channels, channels, 3, 3)
            y = net.conv(bits, weight, pads=[1] * 4)
        elif block == "real":
            y = net.conv(x, floats(random, channels, channels, 1, 1), floats(random, channels))
        elif block == "norm":
            y = net.random_batch_norm(x, channels, random)
        elif block == "prelu":
            y = net.op("PRelu", x, floats(random, channels, 1, 1))
        elif block == "gate":
            scaled = net.op("Mul", net.op("GlobalAveragePool", draw(st.sampled_from(maps))), 0.7)
            y = net.op("Mul", net.op("Sigmoid", scaled), x)
        elif block == "skip":
            y = net.op("Add", x, draw(st.sampled_from(maps)))
        else:
            y = net.op("Clip", x, -1.0, 2.0)
        maps.append(y)
    return net


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(networks())
def test_random_networks(tmp_path_factory: pytest.TempPathFactory, net: Net) -> None:
    """A random input may hit a threshold within rounding, where a bit flips: those few are left out."""
    folder = tmp_path_factory.mktemp("net")
    before, after = net.graph(folder), net.graph(folder)
    verify(before, "from_onnx")
    passes.run(after)
    names = [n.name for n in after.nodes]
    assert len(names) == len(set(names))
    errors = []
    for _ in range(4):
        x = floats(RANDOM, *net.shape)
        (want,) = net.onnxruntime(x).values()
        for graph in (before, after):
            got = interpret.run(graph, {"x": x})[graph.outputs[0]]
            errors.append(np.abs(got - want).max() / (np.abs(want).max() + 1e-30))
    assert sorted(errors)[len(errors) // 2] <= 2e-5
