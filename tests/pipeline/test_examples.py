"""The example networks, all the way: what the README and the issue claim of them."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from harness import TOOLCHAINS, Models, Target, Toolchain
from watch import NAN, filled, request, results

import r2b_edge
from r2b_edge import targets
from r2b_edge.exporters.c import build_program
from r2b_edge.pipeline import Storage, graph_of, program_of
from r2b_edge.report import ExecutorCheck, Report

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "cifar10"
DIGITS = EXAMPLES.parent / "digits"
SAMPLES = 24
NoSlower = Callable[[Report, str], None]
"""See conftest.py: instructions against the baselines."""


@pytest.fixture
def rpi4_tools(require_tool: Callable[..., None]) -> None:
    require_tool("cmake", "aarch64-linux-gnu-gcc", "qemu-aarch64")


# Tensors that are compared, counted by hand. A unit has 11 nodes (Step, BinaryConv, its ChannelAffine, GlobalAvgPool,
# Dense, Clip, Dense, Sigmoid, Mul, PReLU, Add), a downsampling 2 (AvgPool, FloatConv).
# Graph: all of them. Beside these, r2b_cifar10 has 3 nodes before its 12 units (ChannelAffine, FloatConv, PReLU) and 2
# after (GlobalAvgPool, Dense): 3 + 12 * 11 + 2 * 2 + 2. r2b_resnet18 has 16 units, 3 downsamplings, and a Clip and a
# MaxPool in the place of the first PReLU: 4 + 16 * 11 + 3 * 2 + 2.
# TFLite: in each unit the convolution holds its affine map, and a Dense its Clip; in r2b_resnet18 the stem its Clip.
# C: the input's affine map (1; r2b_resnet18 takes bytes, through the map); the stem with map, mean and bits (3; in
# r2b_resnet18 those of its pool, which runs with it by rows); in a unit two dense layers (2) and the convolution with
# map, mean and bits (3), of which the last has the mean only; a downsampling's two maps; the last Dense (1):
# 1 + 3 + 12 * 5 - 2 + 2 * 2 + 1, and 3 + 16 * 5 - 2 + 3 * 2 + 1.
R2B_CIFAR10 = {"graph": 141, "tflite": 117, "c": 67}
# r2b_digits as r2b_cifar10, with 8 units and one downsampling. Graph: 3 + 8 * 11 + 2 + 2; C: 1 + 3 + 8 * 5 - 2 + 2 + 1.
R2B_DIGITS = {"graph": 95, "tflite": 79, "c": 45}
R2B_RESNET18 = {"graph": 188, "tflite": 155, "c": 88}
SMALLEST = Storage("fp16", "uint8")


def assert_exact(
    report: Report, samples: int, binary_layers: int, compared: dict[str, int]
) -> None:
    assert report.check is not None
    for name, executor in report.check.executors.items():
        assert isinstance(executor, ExecutorCheck), f"{name} did not run: {executor}"
        assert len(executor.tensors) == compared[name]
        assert sum(t.rule == "bits" for t in executor.tensors) == binary_layers
        assert executor.exact, f"{name}: {[t for t in executor.tensors if not t.exact]}"
        assert executor.samples == samples
        traced = [
            n for n in report.notes if n.startswith(f"{name}: ") and "traced to margin ties" in n
        ]
        assert executor.top1_agreement == samples - len(traced)
        assert len(traced) <= 1
    assert all(step.exact and step.instructions for step in report.steps)
    assert sum(layer.binary for layer in report.layers) == binary_layers


def assert_lifetimes(
    onnx: Path,
    sample: np.ndarray,
    toolchain: Toolchain,
    folder: Path,
    storage: Storage | None = None,
) -> None:
    """Run as planned and as watched (tests/c/watch.py), with NaN in all that is dead: the same, bit for bit."""
    graph = graph_of(onnx, "net", storage)
    program = build_program(graph, Target(), "net", {})
    models = Models([program], toolchain, folder)
    last = len(program.steps) - 1
    arena = filled(program, program.inputs, {graph.inputs[0]: sample.astype(np.float32)})
    watched = arena + request(program, 0, last, NAN)
    answers = models.run([(program, 0, 0, last, arena), (program, 2, 0, last, watched)])
    assert results(program, answers[0]) == results(program, answers[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "arena_limit", "small_limit", "saving"),
    # NEON's rows of 128 bits hold up to 64 channels twice: 2 to 3 KB more than the portable layout's. Each of a layer's
    # four tasks has sums of its own: 4.5 and 2.3 KB.
    [
        ("r2b_cifar10.pt2", 86 << 10, 84 << 10, 13.0),
        ("r2b_cifar10_small.pt2", 51 << 10, 48 << 10, 12.4),
    ],
)
def test_trained_network(
    file: str,
    arena_limit: int,
    small_limit: int,
    saving: float,
    tmp_path: Path,
    require_lce: None,
    rpi4_tools: None,
    no_slower: NoSlower,
) -> None:
    samples, labels = np.load(EXAMPLES / "samples.npy"), np.load(EXAMPLES / "labels.npy")
    assert samples.shape == (256, 3, 32, 32)
    assert set(np.bincount(labels)) == {25, 26}
    np.save(tmp_path / "x.npy", samples[:SAMPLES])
    np.save(tmp_path / "y.npy", labels[:SAMPLES])

    out = tmp_path / "out"
    first = r2b_edge.export(EXAMPLES / file, target="rpi4", out=out)
    memory = first.memory
    assert memory.weight_saving is not None
    assert memory.weight_saving > saving
    assert memory.arena_bytes is not None
    assert memory.arena_bytes <= arena_limit
    assert memory.arena_bytes == memory.arena_bound_bytes
    assert memory.flash_kind == "linked"
    assert memory.stack_kind == "painted stack"

    report = r2b_edge.check(out, samples=tmp_path / "x.npy", labels=tmp_path / "y.npy")
    assert_exact(report, SAMPLES, binary_layers=12, compared=R2B_CIFAR10)
    no_slower(report, f"{Path(file).stem}-rpi4")
    assert report.check is not None
    c = report.check.executors.c
    assert isinstance(c, ExecutorCheck)
    assert (
        c.accuracy
        == report.check.reference_accuracy
        == _torch_accuracy(EXAMPLES / file, samples[:SAMPLES], labels[:SAMPLES])
    )
    assert_lifetimes(out / "model.onnx", samples[:1], TOOLCHAINS[0], tmp_path / "watched")
    assert_small_arenas(out / "model.onnx", small_limit)


def assert_small_arenas(onnx: Path, limit: int) -> None:
    """On each family of Cortex-M, with bytes or floats as the input: at most 1.10 of what no plan can be below.

    The tables of two vectors of 32 pixels at a time, on the Cortex-M55, take up to 6 KB more.
    """
    for storage in (Storage(), Storage(input_dtype="uint8")):
        graph = graph_of(onnx, "net", storage)
        for name in ("microbit", "stm32f100", "stm32f405", "corstone-300"):
            program = program_of(graph, targets.load(name), "net", "0" * 64)
            room = limit + (6 << 10 if name == "corstone-300" else 0)
            assert program.arena_bytes <= min(room, 1.10 * program.arena_bound_bytes), name


def _torch_accuracy(file: Path, samples: np.ndarray, labels: np.ndarray) -> float:
    import torch

    net = torch.export.load(file).module()
    tops = [int(net(torch.from_numpy(x[None]).float()).argmax()) for x in samples]
    return float(np.mean(tops == labels))


@pytest.mark.slow
def test_digits_on_the_smallest_boards(
    tmp_path: Path, require_lce: None, require_tool: Callable[..., None], no_slower: NoSlower
) -> None:
    """Run on a Cortex-M0 with 16 KB of RAM, and on a Cortex-M3 with 8 KB."""
    require_tool("cmake", "gcc", "arm-none-eabi-gcc", "qemu-system-arm")
    samples, labels = np.load(DIGITS / "samples.npy"), np.load(DIGITS / "labels.npy")
    assert samples.shape == (450, 1, 8, 8)
    samples, labels = samples[:SAMPLES], labels[:SAMPLES]
    np.save(tmp_path / "x.npy", samples)
    np.save(tmp_path / "y.npy", labels)

    out = tmp_path / "out"
    memory = r2b_edge.export(DIGITS / "r2b_digits.pt2", target="microbit", out=out).memory
    assert (memory.flash_kind, memory.stack_kind) == ("linked", "painted stack")
    assert memory.flash_bytes is not None
    assert memory.weight_bytes < memory.flash_bytes < 128 << 10
    assert memory.arena_bytes is not None
    assert memory.arena_bytes == memory.arena_bound_bytes
    report = r2b_edge.check(out, samples=tmp_path / "x.npy", labels=tmp_path / "y.npy")
    assert_exact(report, SAMPLES, binary_layers=8, compared=R2B_DIGITS)
    no_slower(report, "r2b_digits-microbit")
    assert report.check is not None
    c = report.check.executors.c
    assert isinstance(c, ExecutorCheck)
    assert c.accuracy == _torch_accuracy(DIGITS / "r2b_digits.pt2", samples, labels)

    # 8 KB hold the runner's own buffers, too: it ran, for its stack was measured.
    small = r2b_edge.export(out / "model.onnx", target="stm32f100", out=tmp_path / "small").memory
    assert small.stack_kind == "painted stack"
    assert small.ram_bytes is not None
    assert small.ram_bytes < 8 << 10


@pytest.mark.slow
def test_imagenet_sized_network(
    tmp_path: Path, require_lce: None, rpi4_tools: None, no_slower: NoSlower
) -> None:
    import torch

    from examples.nets import r2b_resnet18, randomize

    out = tmp_path / "out"
    torch.manual_seed(0)
    net = randomize(r2b_resnet18(), seed=0)
    example = torch.randint(0, 256, (1, 3, 224, 224)).float()
    options = r2b_edge.ExportOptions(storage=SMALLEST)
    report = r2b_edge.export(net, (example,), target="rpi4", out=out, options=options)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert children.ru_maxrss < 4 << 20  # KiB
    assert report.memory.tflite_bytes is not None
    assert report.memory.tflite_bytes < 5_450_000
    assert report.memory.weight_saving is not None
    assert report.memory.weight_saving >= 13.9

    np.save(tmp_path / "x.npy", example.numpy())
    checked = r2b_edge.check(out, samples=tmp_path / "x.npy", threads=4)
    assert_exact(checked, 1, binary_layers=16, compared=R2B_RESNET18)
    one, four = checked.speed
    assert (one.threads, four.threads) == (1, 4)
    assert four.median < 0.3 * one.median
    no_slower(checked, "r2b_resnet18-rpi4")
    assert checked.check is not None
    assert checked.check.effect is not None
    assert checked.check.effect.max_abs_error is not None
    fast = Toolchain("gcc", "gcc", ("-O3",))
    assert_lifetimes(out / "model.onnx", example.numpy(), fast, tmp_path / "watched", SMALLEST)
