"""Winograd's algorithm against its definition, and its rounding against that of direct sums."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from r2b_edge.exporters.c import Program, build_program, winograd
from r2b_edge.graph.graph import Array, Graph
from r2b_edge.ops import Clip, FloatConv, Op, Unary, Window

from .harness import TOOLCHAINS, Builder, Models, Target
from .watch import filled

Doubles = NDArray[np.float64]

SIDE = 60
CORES = (7, 3)
"""Kernels' sizes."""
LIMIT = 4e-6
"""Of the largest output. The report says some 2e-6; the contract allows 1e-5."""
SCALED = 1e-6
"""Of the most that an output can be: the largest input times the largest sum of a filter's magnitudes."""


def polynomial(size: int) -> tuple[Doubles, Doubles]:
    """B^T and A^T from their definition in r2b_fconv_winograd_neon.h."""
    points = np.array(winograd.POINTS[size])
    count = len(points) + 1
    inputs = np.zeros((count, count))
    outputs = np.zeros((winograd.TILE, count))
    for i, point in enumerate(points):
        inputs[i, :-1] = np.poly1d(np.delete(points, i), r=True).coeffs[::-1]
        scale = winograd.SCALES.get(float(point), 1.0)
        outputs[:, i] = scale * point ** np.arange(winograd.TILE)
    inputs[-1] = np.poly1d(points, r=True).coeffs[::-1]
    outputs[-1, -1] = 1
    return inputs, outputs


@pytest.mark.parametrize("size", CORES)
def test_points_give_the_sums(size: int) -> None:
    """In one dimension and in double: A^T ((G w) * (B^T d)) is the four sums."""
    rng = np.random.default_rng(size)
    g = winograd.generator(size)
    inputs, outputs = polynomial(size)
    w, d = rng.normal(size=g.shape[1]), rng.normal(size=len(g))
    want = [d[j : j + len(w)] @ w for j in range(winograd.TILE)]
    np.testing.assert_allclose(outputs @ ((g @ w) * (inputs @ d)), want, rtol=0, atol=1e-13)


@pytest.mark.parametrize("size", CORES)
@pytest.mark.parametrize("channels", [1, 3])
def test_weights_have_a_zero_where_channels_are_odd_and_nowhere_else(
    size: int, channels: int
) -> None:
    rng = np.random.default_rng(channels)
    packed = winograd.weights(rng.normal(size=(16, channels, size, size)))
    assert packed.shape == (2, winograd.steps(size, channels), 8)
    assert packed.dtype == np.float32
    assert (packed == 0).any(axis=(0, 2)).sum() == 1
    assert (packed[:, -1] == 0).all()


def filters(size: int) -> Array:
    """8 of noise, and 8 like those that first layers learn: waves under a bell, half of them without a mean."""
    rng = np.random.default_rng(size)
    noise = rng.normal(size=(8, 3, size, size))
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    bell = np.exp(-(x**2 + y**2) / (size / 2) ** 2)
    waves = []
    for angle in np.linspace(0, np.pi, 4, endpoint=False):
        wave = bell * np.cos(1.3 * (x * np.cos(angle) + y * np.sin(angle)))
        waves += [np.stack([wave, -0.5 * wave, 0.3 * wave])]
        waves += [waves[-1] - waves[-1].mean(axis=(1, 2), keepdims=True)]
    return np.asarray(np.concatenate([noise, np.array(waves)]), np.float32)


def images() -> Iterator[Array]:
    rng = np.random.default_rng(0)
    shape = (1, 3, SIDE, SIDE)
    yield rng.normal(size=shape)
    yield np.full(shape, 2.1)
    smooth = np.cumsum(np.cumsum(rng.normal(size=shape), axis=2), axis=3)
    yield np.asarray((smooth - smooth.mean()) / smooth.std())
    yield rng.integers(0, 256, shape)


def nets() -> dict[bool, tuple[Graph, Program]]:
    """Both kernels' sizes on one input; by Winograd's algorithm, and not."""
    b = Builder()
    x = b.input(1, 3, SIDE, SIDE)
    outputs = []
    for size in CORES:
        pads = (size // 2,) * 4
        window = Window((size, size), (2, 2), pads)
        outputs.append(b.add(FloatConv(filters(size), np.zeros(16, np.float32), window), x))
    graph = b.done(*outputs)
    target = Target(families=("neon", "portable"))
    return {
        exact: (graph, build_program(graph, target, f"exact{int(exact)}", {}, exact_float=exact))
        for exact in (False, True)
    }


def test_rounding_is_what_the_report_says(
    tmp_path: Path, require_tool: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "LEAST_TILES", {3: 8, 7: 8})  # small maps, too
    aarch64 = next(t for t in TOOLCHAINS if "neon" in t.families)
    require_tool(*aarch64.tools)
    both = nets()
    assert [{s.kernel for s in both[e][1].steps} for e in (False, True)] == [
        {"fconv_winograd_neon"},
        {"fconv_neon"},
    ]
    models = Models([program for _, program in both.values()], aarch64, tmp_path)
    worst = {False: 0.0, True: 0.0}
    for image in images():
        given = {"input": image.astype(np.float32)}
        for exact, (graph, program) in both.items():
            arena = filled(program, graph.inputs, given)
            (after,) = models.run([(program, 0, 0, len(program.steps) - 1, arena)])
            for node in graph.nodes:
                t = program.tensor[node.output]
                got = t.unpack(after[t.offset : t.offset + t.bytes])
                assert isinstance(node.op, FloatConv)
                weight = node.op.weight.astype(np.float64)
                patches = node.op.window.patches(given["input"].astype(np.float64), 0.0)
                want = np.einsum("nchwij,ocij->nohw", patches, weight)
                error = np.abs(got - want).max()
                most = np.abs(image).max() * np.abs(weight).sum(axis=(1, 2, 3)).max()
                assert error <= SCALED * most
                worst[exact] = max(worst[exact], error / np.abs(want).max())
    assert worst[True] < worst[False] <= LIMIT
    assert worst[False] <= 8 * worst[True]


@pytest.mark.parametrize(
    ("behind", "kernel"),
    [
        (Clip(0.0, np.inf), "fconv_winograd_neon"),
        (Clip(-1.0, 1.0), "fconv_neon"),
        (Unary("Tanh"), "fconv_neon"),
    ],
)
def test_not_where_little_of_the_sums_may_be_left(behind: Op, kernel: str) -> None:
    b = Builder()
    window = Window((7, 7), (2, 2), (3, 3, 3, 3))
    x = b.input(1, 3, SIDE, SIDE)
    made = b.add(FloatConv(filters(7), np.zeros(16, np.float32), window), x)
    graph = b.done(b.add(behind, made))
    program = build_program(graph, Target(families=("neon", "portable")), "clipped", {})
    assert [step.kernel for step in program.steps] == [kernel]
