"""Random chains of ops that move values: equal to onnxruntime's to the bit, or refused by name, never anything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_onnx import Net, floats

from r2b_edge.errors import UnsupportedError
from r2b_edge.graph import interpret

Shape = list[int]
Random = np.random.Generator
Move = Callable[[Net, str, Shape, Random], tuple[str, Shape]]
SEEDS, CHAINS = 6, 40


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def transpose(n: Net, x: str, shape: Shape, random: Random) -> tuple[str, Shape]:
    order = [0, *(1 + random.permutation(len(shape) - 1)).tolist()]
    return n.op("Transpose", x, perm=order), [shape[i] for i in order]


def cut(n: Net, x: str, shape: Shape, random: Random) -> tuple[str, Shape]:
    axis = int(random.integers(1, len(shape)))
    start, end = (int(v) for v in random.integers(-9, 9, 2))
    step = int(random.choice([1, 2, 3, -1]))
    count = len(range(shape[axis])[start:end:step])
    if not count:
        return x, shape
    y = n.op("Slice", x, ints(start), ints(end), ints(axis), ints(step))
    return y, [*shape[:axis], count, *shape[axis + 1 :]]


def choose(n: Net, x: str, shape: Shape, random: Random) -> tuple[str, Shape]:
    axis, count = int(random.integers(1, len(shape))), int(random.integers(1, 6))
    chosen = random.integers(-shape[axis], shape[axis], count)
    return n.op("Gather", x, chosen, axis=axis), [*shape[:axis], count, *shape[axis + 1 :]]


def pad(n: Net, x: str, shape: Shape, random: Random) -> tuple[str, Shape]:
    before, after = random.integers(-1, 3, (2, len(shape)))
    tight = np.array(shape) < 3
    before, after = (np.where(tight, np.abs(v), v) for v in (before, after))
    before[0] = after[0] = 0
    y = n.op("Pad", x, ints(*before, *after), float(random.choice([0.0, 1.5])))
    return y, (np.array(shape) + before + after).tolist()


def shuffle(n: Net, x: str, shape: Shape, random: Random) -> tuple[str, Shape]:
    if len(shape) != 4 or shape[1] % 2:
        return x, shape
    apart = n.op("Reshape", x, ints(1, 2, shape[1] // 2, *shape[2:]))
    turned = n.op("Transpose", apart, perm=[0, 2, 1, 3, 4])
    return n.op("Reshape", turned, ints(*shape)), shape


def split(n: Net, x: str, shape: Shape, random: Random) -> tuple[str, Shape]:
    if shape[1] < 2:
        return x, shape
    first = int(random.integers(1, shape[1]))
    sizes, names = [first, shape[1] - first], [f"{x}_{i}" for i in range(2)]
    n.op("Split", x, ints(*sizes), axis=1, outputs=names)
    taken = int(random.integers(2))
    return names[taken], [shape[0], sizes[taken], *shape[2:]]


def join(n: Net, x: str, shape: Shape, random: Random) -> tuple[str, Shape]:
    y = n.op("Concat", x, n.op("Relu", x), axis=1)
    return y, [shape[0], 2 * shape[1], *shape[2:]]


def flatten(n: Net, x: str, shape: Shape, random: Random) -> tuple[str, Shape]:
    return n.op("Flatten", x), [shape[0], int(np.prod(shape[1:]))]


MOVES: list[Move] = [transpose, cut, choose, pad, shuffle, split, join, flatten]


def chain(random: Random) -> Net:
    shape = [1, *random.integers(1, 7, 3).tolist()]
    net, x = Net(shape), "x"
    for _ in range(int(random.integers(1, 5))):
        x, shape = MOVES[int(random.integers(len(MOVES)))](net, x, shape, random)
    net.op("Identity", x)
    return net


@pytest.mark.parametrize("seed", range(SEEDS))
def test_chains(seed: int, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    outcomes: Counter[str] = Counter()
    for _ in range(CHAINS):
        net = chain(random)
        name, x = net.nodes[-1].output[0], floats(random, *net.shape)
        want = net.onnxruntime(x, name)[name]
        try:
            graph = net.graph(tmp_path, name)
        except UnsupportedError:
            outcomes["refused"] += 1
            continue
        got = interpret.run(graph, {"x": x})[graph.outputs[0]]
        np.testing.assert_array_equal(got.reshape(want.shape), want)
        outcomes["equal"] += 1
    assert outcomes["equal"] > CHAINS // 2, outcomes
