"""A network with two inputs and two outputs, from memory to a check on the user's samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_nets import fault, run
from torch import nn
from torch.nn import functional as F

import r2b_edge


class Two(nn.Module):
    """An image [1, 3, 8, 8] and a map [1, 8, 8, 8] -> classes [1, 5] and a map [1, 8, 8, 8]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.conv = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.fc = nn.Linear(8, 5)

    def forward(
        self, image: torch.Tensor, extra: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        y = self.stem(image) + extra
        bits = torch.where(y >= 0, 1.0, -1.0)
        y = F.conv2d(bits, torch.where(self.conv.weight >= 0, 0.1, -0.1), padding=1) + y
        return self.fc(y.mean((2, 3))), y


@pytest.mark.slow
def test_two_inputs(tmp_path: Path, require_tool: Callable[..., None]) -> None:
    require_tool("cmake", "gcc")
    torch.manual_seed(0)
    inputs = (torch.zeros(1, 3, 8, 8), torch.zeros(1, 8, 8, 8))
    out = tmp_path / "out"
    report = r2b_edge.export(Two(), inputs, target="host", out=out)
    assert [tensor.name for tensor in report.model.inputs] == ["image", "extra"]
    assert len(report.model.outputs) == 2

    random = np.random.default_rng(0)
    image, extra = (random.normal(size=(4, *x.shape[1:])).astype(np.float32) for x in inputs)
    samples = tmp_path / "x.npz"
    np.savez(samples, extra=extra, image=image)
    checked = run("check", out, "--samples", samples, "--device", "host")
    assert checked.exit_code == 0, checked.stderr
    assert "Exact in every step" in checked.stdout

    np.savez(samples, images=image, extra=extra)
    wrong = run("check", out, "--samples", samples)
    assert wrong.exit_code == 2
    assert "are for (images, extra), and the model's inputs are (image, extra)" in fault(wrong)
    np.save(tmp_path / "x.npy", image)
    assert "by name: image, extra" in fault(run("check", out, "--samples", tmp_path / "x.npy"))
