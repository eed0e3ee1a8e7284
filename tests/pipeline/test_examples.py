"""The example networks, all the way: what the README and the issue claim of them."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import r2b_edge
from r2b_edge.report import ExecutorCheck, Report

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "cifar10"
SAMPLES = 24


@pytest.fixture
def rpi4_tools(require_tool: Callable[..., None]) -> None:
    require_tool("cmake", "aarch64-linux-gnu-gcc", "qemu-aarch64")


def assert_exact(report: Report, samples: int, binary_layers: int) -> None:
    assert report.check is not None
    for name, executor in report.check.executors.items():
        assert isinstance(executor, ExecutorCheck), f"{name} did not run: {executor}"
        assert executor.exact, f"{name}: {[t for t in executor.tensors if not t.exact]}"
        assert executor.samples == samples
        traced = [
            n for n in report.notes if n.startswith(f"{name}: ") and "traced to margin ties" in n
        ]
        assert executor.top1_agreement == samples - len(traced)
        assert len(traced) <= 1
    assert all(step.exact and step.instructions for step in report.steps)
    assert sum(layer.binary for layer in report.layers) == binary_layers


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "arena_limit", "saving"),
    [("r2b_cifar10.pt2", 84 << 10, 13.0), ("r2b_cifar10_small.pt2", 48 << 10, 12.5)],
)
def test_trained_network(
    file: str, arena_limit: int, saving: float, tmp_path: Path, require_lce: None, rpi4_tools: None
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
    assert_exact(report, SAMPLES, binary_layers=12)
    assert report.check is not None
    c = report.check.executors.c
    assert isinstance(c, ExecutorCheck)
    assert (
        c.accuracy
        == report.check.reference_accuracy
        == _torch_accuracy(EXAMPLES / file, samples, labels)
    )


def _torch_accuracy(file: Path, samples: np.ndarray, labels: np.ndarray) -> float:
    import torch

    net = torch.export.load(file).module()
    tops = [int(net(torch.from_numpy(x[None]).float()).argmax()) for x in samples[:SAMPLES]]
    return float(np.mean(tops == labels[:SAMPLES]))


@pytest.mark.slow
def test_imagenet_sized_network(tmp_path: Path, require_lce: None, rpi4_tools: None) -> None:
    import torch

    from examples.nets import r2b_resnet18, randomize

    out = tmp_path / "out"
    torch.manual_seed(0)
    net = randomize(r2b_resnet18(), seed=0)
    example = torch.randint(0, 256, (1, 3, 224, 224)).float()
    report = r2b_edge.export(net, (example,), target="rpi4", out=out)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert children.ru_maxrss < 4 << 20  # KiB
    assert report.memory.tflite_bytes is not None
    assert report.memory.tflite_bytes < 5_450_000
    assert report.memory.weight_saving is not None
    assert report.memory.weight_saving >= 8.5

    np.save(tmp_path / "x.npy", example.numpy())
    assert_exact(r2b_edge.check(out, samples=tmp_path / "x.npy"), 1, binary_layers=16)
