"""Gather and Concat in LCE's interpreter: every value is where the oracle has it, to the bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tflite_nets import Net, feeds

from r2b_edge.checking.lce import LceExecutor
from r2b_edge.exporters.tflite.convert import convert
from r2b_edge.graph import interpret
from r2b_edge.graph.graph import Graph
from r2b_edge.ops import Concat, Gather

MAP, VECTOR = (1, 8, 5, 6), (1, 8)
ALL = [range(8), range(5), range(6)]


def gather(*indices: Sequence[int], fill: float = 0.0) -> Gather:
    return Gather(*(np.array(i, np.int32) for i in indices), fill=fill)  # type: ignore[misc]


def check(lce: type[LceExecutor], graph: Graph) -> tuple[str, ...]:
    """Bits equal in each step and as a whole; the operators."""
    model = convert(graph)
    executor = lce(model)
    inputs = feeds(graph, np.random.default_rng(3))
    want = interpret.run(graph, inputs)
    for name, value in executor.run(inputs).items():
        np.testing.assert_array_equal(value, want[name])
    for i, step in enumerate(executor.steps):
        for name, value in executor.run_step(i, {n: want[n] for n in step.inputs}).items():
            np.testing.assert_array_equal(value, want[name])
    return tuple(kernel for step in model.steps for kernel in step.kernels)


GATHERS = {
    "slice of channels": (gather([2, 3, 4], *ALL[1:]), MAP, ("SLICE",)),
    "strided slice": (gather(ALL[0], [0, 2, 4], [1, 3, 5]), MAP, ("STRIDED_SLICE",)),
    "option A": (
        gather([-1, -1, *range(8), -1, -1], [0, 2, 4], [0, 2, 4]), MAP, ("STRIDED_SLICE", "PAD"),
    ),
    "padding": (gather(ALL[0], [-1, *range(5)], [*range(6), -1, -1]), MAP, ("PAD",)),
    "padding with a value": (
        gather(ALL[0], [-1, *range(5)], ALL[2], fill=-1.5), MAP, ("PADV2",),
    ),
    "cropping": (gather(ALL[0], [1, 2, 3], [2, 3]), MAP, ("SLICE",)),
    "reflection": (gather(ALL[0], [1, *range(5), 3], [1, *range(6), 4]), MAP, ("GATHER", "GATHER")),
    "shuffle": (gather([0, 4, 1, 5, 2, 6, 3, 7], *ALL[1:]), MAP, ("GATHER",)),
    "reversal": (gather(ALL[0][::-1], *ALL[1:]), MAP, ("GATHER",)),
    "repetition": (gather([0] * 4, *ALL[1:]), MAP, ("GATHER",)),
    "holes": (
        gather([0, -1, 1, -1], [0, -1, 4], ALL[2], fill=2.0), MAP, ("PADV2", "GATHER", "GATHER", "PADV2"),
    ),
    "nothing": (gather(*ALL), MAP, ("SLICE",)),
    "part of a vector": (gather([1, 3, 5, -1]), VECTOR, ("STRIDED_SLICE", "PAD")),
    "shuffled vector": (gather([3, 1, 1]), VECTOR, ("GATHER",)),
    "vector to a map": (gather(range(8), [0] * 3, [0] * 2), VECTOR, ("RESHAPE", "GATHER", "GATHER")),
    "border around a vector": (gather(range(8), [-1, 0], [0, -1]), VECTOR, ("RESHAPE", "PAD")),
}  # fmt: skip


@pytest.mark.parametrize("case", GATHERS)
def test_gather(lce: type[LceExecutor], case: str) -> None:
    op, shape, operators = GATHERS[case]
    net = Net(shape)
    assert check(lce, net.done(net.add(op, "x0"))) == operators


@pytest.mark.parametrize("seed", range(12))
def test_random_gathers(lce: type[LceExecutor], seed: int) -> None:
    random = np.random.default_rng(seed)
    net = Net(MAP)
    indices = []
    for size in MAP[1:]:
        drawn = random.integers(-1, size, random.integers(1, 9))
        indices.append(np.sort(drawn) if random.random() < 0.5 else np.append(drawn, 0))
        indices[-1][-1] = max(indices[-1][-1], 0)
    fill = float(random.choice([0, 1, -0.25]))
    check(lce, net.done(net.add(gather(*indices, fill=fill), "x0")))


@pytest.mark.parametrize(
    "shapes", [(MAP, (1, 3, 5, 6)), (MAP, MAP, (1, 1, 5, 6)), (VECTOR, (1, 5))], ids=str
)
def test_concat(lce: type[LceExecutor], shapes: tuple[tuple[int, ...], ...]) -> None:
    net = Net(*shapes)
    assert check(lce, net.done(net.add(Concat(), *net.graph.inputs))) == ("CONCATENATION",)


def test_concat_of_a_tensor_with_itself(lce: type[LceExecutor]) -> None:
    net = Net(MAP)
    assert check(lce, net.done(net.add(Concat(), "x0", "x0"))) == ("CONCATENATION",)
