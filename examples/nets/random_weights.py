"""Seeded weights that look trained: for tests that must not depend on a training."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from examples.nets.blocks import BinaryConv2d

M = TypeVar("M", bound=nn.Module)


@torch.no_grad()
def randomize(module: M, seed: int) -> M:
    """Fills `module` in place, puts it in eval mode and returns it. Same seed, same weights.

    What an untrained net lacks: BatchNorm means, variances and shifts away from 0 and 1, about an
    eighth of the gammas and of the alphas negative, and PReLU slopes from -0.2 to 1.2. Alphas and
    gammas have the size that keeps activations of a deep net in a normal range.
    """
    g = torch.Generator().manual_seed(seed)

    def uniform(like: Tensor, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(like.shape, generator=g)

    def sign(like: Tensor) -> Tensor:
        return torch.where(torch.rand(like.shape, generator=g) < 0.125, -1.0, 1.0)

    for m in module.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.weight.copy_(uniform(m.weight, 0.5, 1.5) * sign(m.weight))
            m.bias.copy_(0.3 * torch.randn(m.bias.shape, generator=g))
            assert m.running_mean is not None
            assert m.running_var is not None
            m.running_mean.copy_(0.3 * torch.randn(m.running_mean.shape, generator=g))
            m.running_var.copy_(uniform(m.running_var, 0.5, 2.0))
        elif isinstance(m, nn.PReLU):
            m.weight.copy_(uniform(m.weight, -0.2, 1.2))
        elif isinstance(m, BinaryConv2d):
            fan_in = m.weight[0].numel()
            m.weight.copy_(torch.randn(m.weight.shape, generator=g) * (2.0 / fan_in) ** 0.5)
            m.alpha.copy_(uniform(m.alpha, 0.5, 1.5) * fan_in**-0.5 * sign(m.alpha))
        elif isinstance(m, nn.Conv2d | nn.Linear):
            fan_in = m.weight[0].numel()
            m.weight.copy_(torch.randn(m.weight.shape, generator=g) * fan_in**-0.5)
            if m.bias is not None:
                m.bias.copy_(0.5 * torch.randn(m.bias.shape, generator=g))
    return module.eval()
