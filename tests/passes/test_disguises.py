"""Every disguise of a sign is found, with its exact threshold; nothing else is taken for one.

2,000 disguises, 500 near misses and 100 small nets in `make test`; R2B_SOAK=10 draws ten times as many, anew each time.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from disguises import CHANNELS, disguises, near_misses
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_onnx import Net, floats, signs

from r2b_edge import ops, passes
from r2b_edge.checking.executor import GraphExecutor
from r2b_edge.checking.reference import Reference
from r2b_edge.checking.verify import Verifier
from r2b_edge.graph import Graph
from r2b_edge.passes.bits import Binarised, Bits, NoBits

SOAK = int(os.environ.get("R2B_SOAK", "1"))


def examples(count: int) -> settings:
    """Derandomised for `make test`; a soak draws anew each time."""
    return settings(
        max_examples=count * SOAK,
        deadline=None,
        derandomize=SOAK == 1,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all examples: making and removing thousands takes longer than the probe."""
    return tmp_path_factory.mktemp("disguises")


def found_bits(net: Net, folder: Path) -> tuple[Graph, Bits | NoBits]:
    graph = net.graph(folder)
    return graph, Binarised(graph).of(graph.outputs[0])


def edges(step: ops.Step, points: int) -> NDArray[np.float32]:
    """[P, C]: each channel's threshold, its neighbours, and points of all magnitudes around it and around 0."""
    random = np.random.default_rng(5)
    t = np.where(np.isfinite(step.threshold), step.threshold, 0).astype(np.float32)
    near = [t]
    for toward in (np.float32(np.inf), np.float32(-np.inf)):
        near += [np.nextafter(t, toward), np.nextafter(np.nextafter(t, toward), toward)]
    sizes = 2.0 ** random.uniform(-20, 7, (points - len(near), len(t)))
    sizes *= random.choice([-1, 1], sizes.shape)
    around = random.choice([0, 1], sizes.shape)
    return np.concatenate([np.stack(near), t * around + sizes]).astype(np.float32)


def agrees(net: Net, z: str, graph: Graph, bits: Bits, exact: bool) -> None:
    """What onnxruntime gives at z is what the Step says of its source, to the bit if `exact`."""
    node = graph.producers()[bits.tensor]
    step = node.op
    assert isinstance(step, ops.Step)
    source = graph.tensors[node.inputs[0]].origin.onnx
    x = edges(step, net.shape[2]).T.reshape(net.shape)
    outputs = [z] if source == "x" else [z, source]
    values = net.onnxruntime(x, *outputs) | {"x": x}
    want = bits.middle + bits.half * step.reference(values[source])
    at, t = values[source], step.threshold.reshape(1, -1, 1, 1)
    # Estimators round by what they add and take away; a value of its own at the threshold is a tie.
    margin = 1e-30 + (1e-5 * np.abs(t) if step.ties else 0)
    away = np.abs(at - t) > (margin if exact else 1e-3 * np.abs(t) + 1e-3)
    error = np.abs(values[z] - want)[away] / abs(2 * bits.half)
    assert (error <= 0.25).all(), (source, step)
    assert not error.size or np.median(error) <= 1e-4


@examples(2000)
@given(disguises())
def test_every_disguise_is_found(folder: Path, disguise: tuple[Net, str, bool]) -> None:
    net, z, exact = disguise
    graph, bits = found_bits(net, folder)
    assert isinstance(bits, Bits), bits
    agrees(net, z, graph, bits, exact)


@examples(500)
@given(near_misses())
def test_nothing_else_is_found(folder: Path, miss: tuple[Net, str]) -> None:
    net, _ = miss
    _, bits = found_bits(net, folder)
    assert isinstance(bits, NoBits), bits


def _epilogue(
    net: Net, y: str, channels: int, kinds: list[str], random: np.random.Generator
) -> str:
    """What may stand between a binary layer and the next sign."""
    shape = (channels, 1, 1)
    for kind in kinds:
        match kind:
            case "norm":
                y = net.random_batch_norm(y, channels, random)
            case "scale":
                y = net.op("Mul", y, random.uniform(0.01, 2, shape).astype(np.float32))
            case "bias":
                y = net.op("Add", y, floats(random, *shape))
            case "prelu":
                y = net.op("PRelu", y, random.uniform(-0.5, 1.5, shape).astype(np.float32))
            case "clip":
                y = net.op("Clip", y, -1.5, 2.0)
            case "relu":
                y = net.op("Relu", y)
            case "pool":
                y = net.op("MaxPool", y, kernel_shape=[2, 2], strides=[1, 1])
            case "skip":
                y = net.op("Add", y, net.op("Mul", y, 0.5))
            case _:
                y = net.op("Mul", net.op("Sigmoid", net.op("GlobalAveragePool", y)), y)
    return y


KINDS = ["norm", "scale", "bias", "prelu", "clip", "relu", "pool", "skip", "gate"]


@examples(100)
@given(
    st.lists(st.sampled_from(KINDS), max_size=4),
    st.lists(st.sampled_from(KINDS), max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_random_epilogues(folder: Path, first: list[str], second: list[str], seed: int) -> None:
    """All three layers of a net are binary, whatever lies between them, and each step is exact."""
    random = np.random.default_rng(seed)
    net = Net((1, CHANNELS, 18, 17))
    y, inputs = "x", CHANNELS
    for kinds in ([], first, second):
        y = _epilogue(net, y, inputs, kinds, random)
        outputs = int(random.integers(2, 7))
        alpha = random.uniform(0.05, 2, (outputs, 1, 1, 1)).astype(np.float32)
        weight = alpha * signs(random, outputs, inputs, 3, 3)
        pads = [int(p) for p in random.integers(0, 2, 4)]
        half = float(random.uniform(0.3, 0.7)) if inputs == CHANNELS else 0.0
        y = net.conv(net.sign(net.op("Sub", y, half)), weight, floats(random, outputs), pads=pads)
        inputs = outputs
    _epilogue(net, y, inputs, [*second, "norm"], random)
    graph = passes.run(net.graph(folder))
    reference = Reference(folder / "model.onnx", graph)
    assert [f.verdict for f in graph.findings] == ["binary"] * 3
    verifier = Verifier("graph", GraphExecutor(graph), graph, reference)
    for _ in range(2):
        verifier.add(reference.run({"x": floats(random, *net.shape)}))
    wrong = [t for step in verifier.verdict.tallies for t in step if t.wrong]
    assert not wrong
