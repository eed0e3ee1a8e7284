"""Ops that only move values: whatever chain of them a model has, the values arrive where onnxruntime puts them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_onnx import Net, floats

from r2b_edge import ops
from r2b_edge.errors import UnsupportedError
from r2b_edge.graph import Graph, interpret
from r2b_edge.graph.spec import verify

RANDOM = np.random.default_rng(7)
SPATIAL = np.array([2, 3])
I64 = np.int64
Build = Callable[[Net], str]


def f(*shape: int) -> np.ndarray:
    return floats(RANDOM, *shape)


def ints(*values: int) -> np.ndarray:
    return np.array(values, I64)


def same(net: Net, folder: Path, *outputs: str) -> Graph:
    """Import the net; its outputs are onnxruntime's to the bit, for a batch of two as well; the graph, pruned."""
    names = outputs or (net.nodes[-1].output[0],)
    graph = net.graph(folder, *names)
    graph.prune()
    verify(graph, "from_onnx")
    x = f(2, *net.shape[1:])
    got = interpret.run(graph, {"x": x})
    for i in range(2):
        want = net.onnxruntime(x[i : i + 1], *names)
        for name, tensor in zip(names, graph.outputs, strict=True):
            np.testing.assert_array_equal(got[tensor][i].reshape(want[name].shape), want[name])
    return graph


def kinds(graph: Graph) -> list[type]:
    return [type(node.op) for node in graph.nodes]


def sliced(n: Net, starts: list[int], ends: list[int], axes: list[int], steps: list[int]) -> str:
    return n.op("Slice", "x", ints(*starts), ints(*ends), ints(*axes), ints(*steps))


def shuffle(n: Net, groups: int) -> str:
    split = n.op("Reshape", "x", ints(1, groups, 4 // groups, 6, 6))
    return n.op("Reshape", n.op("Transpose", split, perm=[0, 2, 1, 3, 4]), ints(1, 4, 6, 6))


def option_a(n: Net) -> str:
    half = sliced(n, [0, 0], [9999, 9999], [2, 3], [2, 2])
    return n.op("Pad", half, ints(0, 2, 0, 0, 0, 2, 0, 0))


ONE_GATHER: dict[str, Build] = {
    "channels": lambda n: sliced(n, [1], [3], [1], [1]),
    "every second pixel": lambda n: sliced(n, [0, 1], [9999, 9999], [2, 3], [2, 2]),
    "counted from the end": lambda n: sliced(n, [-3], [-1], [1], [1]),
    "beyond the ends": lambda n: sliced(n, [-99], [99], [2], [4]),
    "backwards": lambda n: sliced(n, [-1], [-(2**31)], [1], [-1]),
    "backwards, by two, not to the end": lambda n: sliced(n, [4], [0], [3], [-2]),
    "option A of IR-Net": option_a,
    "channel shuffle": lambda n: shuffle(n, 2),
    "zero padding": lambda n: n.op("Pad", "x", ints(0, 0, 1, 2, 0, 0, 3, 0)),
    "padding with a value": lambda n: n.op("Pad", "x", ints(0, 1, 1, 0, 0, 0, 0, 1), -2.5),
    "padding and cropping": lambda n: n.op("Pad", "x", ints(0, 0, 1, -2, 0, 0, -1, 1)),
    "reflection": lambda n: n.op("Pad", "x", ints(0, 0, 1, 2, 0, 0, 2, 1), mode="reflect"),
    "edges": lambda n: n.op("Pad", "x", ints(0, 0, 1, 2, 0, 0, 2, 1), mode="edge"),
    "padding of padding": lambda n: n.op(
        "Pad", n.op("Pad", "x", ints(1, 1), 0.0, ints(2)), ints(0, 0, 1, 0, 0, 0, 0, 1)
    ),
    "chosen channels": lambda n: n.op("Gather", "x", ints(3, 0, 0, 2), axis=1),
    "chosen rows, from the end": lambda n: n.op("Gather", "x", ints(-1, 2), axis=2),
    "rolled": lambda n: n.op(
        "Concat", sliced(n, [4], [6], [2], [1]), sliced(n, [0], [4], [2], [1]), axis=2
    ),
    "halves exchanged": lambda n: n.op(
        "Concat", sliced(n, [2], [4], [1], [1]), sliced(n, [0], [2], [1], [1]), axis=1
    ),
    "stacked": lambda n: n.op(
        "Reshape", n.op("Concat", *[n.op("Unsqueeze", "x", ints(2))] * 2, axis=2), ints(1, 8, 6, 6)
    ),
    "chosen by places": lambda n: n.op(
        "Transpose",
        n.op(
            "GatherND", n.op("Transpose", "x", perm=[1, 0, 2, 3]), np.array([[3], [-3], [0]], I64)
        ),
        perm=[1, 0, 2, 3],
    ),
    "nearest neighbour, twice as large": lambda n: n.op(
        "Resize",
        "x",
        None,
        np.array([1, 1, 2, 3], np.float32),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    ),
    "nearest neighbour, by its size": lambda n: n.op("Resize", "x", None, None, ints(1, 4, 12, 18)),
    "repeated channels": lambda n: n.op("Tile", "x", ints(1, 2, 1, 1)),
    "height and width exchanged and back": lambda n: n.op(
        "Transpose",
        n.op("Slice", n.op("Transpose", "x", perm=[0, 3, 2, 1]), ints(1), ints(5), ints(1)),
        perm=[0, 3, 2, 1],
    ),
    "halves by an axis of their own": lambda n: n.op(
        "Gather", n.op("Reshape", "x", ints(1, 2, 2, 6, 6)), np.array(1, I64), axis=1
    ),
}


@pytest.mark.parametrize("case", ONE_GATHER)
def test_one_gather(case: str, tmp_path: Path) -> None:
    net = Net()
    ONE_GATHER[case](net)
    assert kinds(same(net, tmp_path)) == [ops.Gather]


NOTHING: dict[str, Build] = {
    "shuffle and back": lambda n: n.op(
        "Reshape",
        n.op("Transpose", n.op("Reshape", shuffle(n, 2), ints(1, 2, 2, 6, 6)), perm=[0, 2, 1, 3, 4]),
        ints(1, 4, 6, 6),
    ),
    "all of it": lambda n: sliced(n, [0, 0], [4, 99], [1, 2], [1, 1]),
    "pad of nothing": lambda n: n.op("Pad", "x", ints(*[0] * 8), 5.0),
    "padded and cropped": lambda n: n.op(
        "Pad", n.op("Pad", "x", ints(0, 0, 1, 1, 0, 0, 1, 1)), ints(0, 0, -1, -1, 0, 0, -1, -1)
    ),
    "flat and back": lambda n: n.op("Reshape", n.op("Flatten", "x"), ints(1, 4, 6, 6)),
}  # fmt: skip


@pytest.mark.parametrize("case", NOTHING)
def test_chains_that_are_nothing(case: str, tmp_path: Path) -> None:
    net = Net()
    NOTHING[case](net)
    assert kinds(same(net, tmp_path)) == []


def test_two_fills_are_two_gathers(tmp_path: Path) -> None:
    net = Net()
    inner = net.op("Pad", "x", ints(0, 0, 1, 1, 0, 0, 1, 1), 3.0)
    net.op("Pad", inner, ints(0, 0, 1, 1, 0, 0, 1, 1), -1.0)
    assert kinds(same(net, tmp_path)) == [ops.Gather, ops.Gather]


@pytest.mark.parametrize("sizes", [None, [1, 3], [2, 1, 1]])
def test_split(sizes: list[int] | None, tmp_path: Path) -> None:
    net = Net()
    names = [f"part{i}" for i in range(len(sizes or [2, 2]))]
    extra = [] if sizes is None else [ints(*sizes)]
    attributes = {"num_outputs": 2} if sizes is None else {}
    net.op("Split", "x", *extra, axis=1, outputs=names, **attributes)
    graph = same(net, tmp_path, *names)
    assert kinds(graph) == [ops.Gather] * len(names)
    assert len({node.name for node in graph.nodes}) == len(names)


def test_a_part_that_nobody_reads_is_not_computed(tmp_path: Path) -> None:
    net = Net()
    net.op("Split", "x", axis=1, num_outputs=2, outputs=["a", "b"])
    net.op("Relu", "b")
    assert kinds(same(net, tmp_path)) == [ops.Gather, ops.Clip]


VECTORS: dict[str, tuple[Build, list[type]]] = {
    "one pixel": (
        lambda n: n.op("Gather", n.op("Gather", "x", np.array(2, I64), axis=3), np.array(1, I64), axis=2),
        [ops.Gather, ops.GlobalAvgPool],
    ),
    "flat": (lambda n: n.op("Flatten", "x"), [ops.Reshape]),
    "part of a flat one": (
        lambda n: n.op("Slice", n.op("Flatten", "x"), ints(5), ints(17), ints(1)),
        [ops.Reshape, ops.Gather],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", VECTORS)
def test_vectors_of_a_map(case: str, tmp_path: Path) -> None:
    net = Net()
    VECTORS[case][0](net)
    assert kinds(same(net, tmp_path)) == VECTORS[case][1]


@pytest.mark.parametrize("rank", [2, 4])
def test_parts_of_a_vector(rank: int, tmp_path: Path) -> None:
    net = Net((1, 6))
    x = "x" if rank == 2 else net.op("Unsqueeze", "x", SPATIAL)
    net.op("Slice", x, ints(1), ints(6), ints(1), ints(2))
    graph = same(net, tmp_path)
    assert kinds(graph) == [ops.Gather]
    assert not graph.type(graph.outputs[0]).is_map


def test_a_vector_spread_over_a_map(tmp_path: Path) -> None:
    net = Net((1, 6))
    net.op("Expand", net.op("Unsqueeze", "x", SPATIAL), ints(1, 6, 3, 2))
    assert kinds(same(net, tmp_path)) == [ops.Gather]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_pad_is_shared_by_a_conv_and_a_pool(value: float, tmp_path: Path) -> None:
    net = Net()
    padded = net.op("Pad", "x", ints(0, 0, 1, 1, 0, 0, 1, 1), value)
    pool = net.op("MaxPool", padded, kernel_shape=[3, 3])
    conv = net.conv(padded, np.ones((1, 4, 1, 1), np.float32))
    graph = net.graph(tmp_path, pool, conv)
    by_kind = {type(node.op): node for node in graph.nodes}
    assert by_kind[ops.FloatConv].inputs == ("x",)
    assert by_kind[ops.MaxPool].inputs == (padded,)
    same_pool = Net()
    same_pool.op(
        "MaxPool",
        same_pool.op("Pad", "x", ints(0, 0, 1, 1, 0, 0, 1, 1), value),
        kernel_shape=[3, 3],
    )
    same(same_pool, tmp_path)


def close(net: Net, folder: Path) -> Graph:
    graph = net.graph(folder)
    graph.prune()
    x = f(*net.shape)
    (want,) = net.onnxruntime(x, net.nodes[-1].output[0]).values()
    got = interpret.run(graph, {"x": x})[graph.outputs[0]]
    np.testing.assert_allclose(got.reshape(want.shape), want, atol=1e-4)
    return graph


MOVED_BEFORE_DENSE: dict[str, Build] = {
    "flat": lambda n: n.op("Flatten", "x"),
    "rows first": lambda n: n.op("Flatten", n.op("Transpose", "x", perm=[0, 2, 3, 1])),
    "padded": lambda n: n.op("Flatten", n.op("Pad", "x", ints(0, 0, 1, 0, 0, 0, 0, 1), 2.0)),
    "twice": lambda n: n.op("Tile", n.op("Flatten", "x"), ints(1, 2)),
}  # fmt: skip


@pytest.mark.parametrize("case", MOVED_BEFORE_DENSE)
def test_what_is_moved_before_a_dense_layer_goes_into_its_weights(
    case: str, tmp_path: Path
) -> None:
    net = Net((1, 4, 3, 5))
    flat = MOVED_BEFORE_DENSE[case](net)
    x = np.zeros(net.shape, np.float32)
    (value,) = net.onnxruntime(x, flat).values()
    net.op("MatMul", flat, f(value.shape[1], 7))
    graph = close(net, tmp_path)
    assert kinds(graph) == [ops.FloatConv, ops.GlobalAvgPool]
    assert graph.nodes[0].inputs == ("x",)


def test_a_part_of_a_map_before_a_dense_layer_is_cut_out(tmp_path: Path) -> None:
    """A kernel for all of this map would take 50 GB."""
    net = Net((1, 3, 1200, 1200))
    corner = net.op("Slice", "x", ints(0, 0), ints(2, 3), ints(2, 3))
    net.op("MatMul", net.op("Flatten", corner), f(18, 3000))
    assert kinds(close(net, tmp_path))[-2:] == [ops.Gather, ops.Dense]


@pytest.mark.parametrize("named", [True, False])
def test_a_dense_layer_over_a_map_has_names_of_its_own(named: bool, tmp_path: Path) -> None:
    net = Net((1, 4, 3, 5))
    net.op("MatMul", net.op("Flatten", "x"), f(60, 7), name="head" if named else "")
    graph = close(net, tmp_path)
    names = [node.name for node in graph.nodes]
    assert len(set(names)) == len(names) == 2
    assert ("head" in names) is named


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("pads", [[0] * 4, [1] * 4])
def test_two_paddings_before_a_conv(value: float, pads: list[int], tmp_path: Path) -> None:
    net = Net()
    net.conv(net.op("Pad", "x", ints(1, 2, 0, 1), value, SPATIAL), f(5, 4, 3, 3), pads=pads)
    graph = close(net, tmp_path)
    inside = value == 0 or not any(pads)
    assert kinds(graph) == ([ops.FloatConv] if inside else [ops.Gather, ops.FloatConv])


@pytest.mark.parametrize("shapes", [[(1, 4, 6, 6)], [(1, 3, 6, 6), (1, 1, 6, 6)]])
def test_concat_of_maps(shapes: list[tuple[int, ...]], tmp_path: Path) -> None:
    net = Net((1, 4, 6, 6))
    parts = ["x"]
    for shape in shapes:
        parts.append(net.op("Neg", sliced(net, [0], [shape[1]], [1], [1])))
    net.op("Concat", *parts, axis=1)
    same(net, tmp_path)


def test_concat_of_a_map_with_itself(tmp_path: Path) -> None:
    net = Net()
    net.op("Concat", "x", "x", "x", axis=-3)
    assert kinds(same(net, tmp_path)) == [ops.Concat]


def test_concat_of_one(tmp_path: Path) -> None:
    net = Net()
    net.op("Concat", "x", axis=1)
    assert kinds(same(net, tmp_path)) == []


def test_concat_of_vectors_and_maps_of_one_pixel(tmp_path: Path) -> None:
    net = Net((1, 4, 1, 1))
    net.op("Concat", net.op("GlobalAveragePool", "x"), "x", axis=1)
    graph = same(net, tmp_path)
    assert not graph.type(graph.outputs[0]).is_map


REFUSED: dict[str, tuple[Build, str]] = {
    "pixels into channels": (
        lambda n: n.op("SpaceToDepth", "x", blocksize=2, name="bad"), "SpaceToDepth 'bad'.*not supported",
    ),
    "pixels into channels by hand": (
        lambda n: n.op("Relu", n.op("Reshape", n.op("Transpose", n.op(
            "Reshape", "x", ints(1, 4, 3, 2, 3, 2)), perm=[0, 3, 5, 1, 2, 4]), ints(1, 16, 3, 3), name="bad")),
        "Reshape 'bad' gives what the graph cannot hold: .* mixes channels with height or width",
    ),
    "an axis too many": (
        lambda n: n.op("Relu", n.op("Unsqueeze", "x", ints(0), name="bad")), r"shape \[1, 1, 4, 6, 6\] is no map",
    ),
    "two paddings that are one image": (
        lambda n: n.op("Concat", "x", f(1, 2, 6, 6), axis=1, name="bad"), "'bad'.*one of its inputs is a constant",
    ),
    "rows side by side": (
        lambda n: n.op("Concat", "x", n.op("Relu", "x"), axis=2, name="bad"), "'bad'.*only channels can be concat",
    ),
    "nothing": (lambda n: n.op("Relu", sliced(n, [3], [3], [1], [1])), "is empty|not readable|no readable"),
    "the batch": (
        lambda n: n.op("Relu", n.op("Expand", "x", ints(3, 4, 6, 6), name="bad")), r"shape \[3, 4, 6, 6\] is no map",
    ),
    "too large": (
        lambda n: n.op("Relu", n.op("Tile", "x", ints(1, 2**20, 2, 1), name="bad")), "'bad'.*is too large",
    ),
    "a channel beyond the last": (
        lambda n: n.op("Relu", n.op("Gather", "x", ints(4), axis=1, name="bad")), "'bad'.*indices 4 to 4 into 4",
    ),
    "reflection wider than the map": (
        lambda n: n.op("Relu", n.op("Pad", "x", ints(0, 0, 6, 0, 0, 0, 0, 0), mode="reflect", name="bad")),
        "'bad'.*as wide as",
    ),
    "smooth enlargement": (
        lambda n: n.op("Resize", "x", None, np.array([1, 1, 2, 2], np.float32), mode="linear", name="bad"),
        "'bad'.*linear",
    ),
    "a third larger": (
        lambda n: n.op("Resize", "x", None, None, ints(1, 4, 8, 8), name="bad"), "'bad'.*whole factors",
    ),
    "a little more than twice": (
        lambda n: n.op("Resize", "x", None, np.array([1, 1, 2.1, 2.1], np.float32), mode="nearest",
            coordinate_transformation_mode="asymmetric", nearest_mode="floor", name="bad"),
        "'bad'.*whole factors",
    ),
    "padding that is not finite": (
        lambda n: n.op("Relu", n.op("Pad", "x", ints(0, 0, 1, 1, 0, 0, 1, 1), np.inf, name="bad")), "'bad'.*value inf",
    ),
}  # fmt: skip


def test_a_model_that_moves_too_many_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("r2b_edge.graph.from_onnx.MAX_TOTAL", 3 * 144)
    net = Net((1, 4, 6, 6))
    x = "x"
    for _ in range(4):
        x = net.op("Transpose", x, perm=[0, 1, 3, 2])
    with pytest.raises(UnsupportedError, match=r"Transpose_3' on .*moves more than 432 values"):
        net.graph(tmp_path)


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str, tmp_path: Path) -> None:
    build, says = REFUSED[case]
    net = Net()
    output = build(net)
    with pytest.raises(UnsupportedError, match=says) as caught:
        net.graph(tmp_path, output)
    assert "\n" not in str(caught.value)
