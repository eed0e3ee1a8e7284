"""Networks with few levels that are not binary: they stay float, layer by layer, with the reason."""

# mypy: disable-error-code="no-any-return"
# To mypy, a call of an nn.Module gives Any.

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .parts import BinaryConv2d, clip_sign, where_sign


class TernaryConv(nn.Conv2d):
    """Zhu et al. 2017 (TTQ): weights -Wn, 0 and +Wp, with learned Wn and Wp."""

    def __init__(self, c: int, d: int) -> None:
        super().__init__(c, d, 3, padding=1, bias=False)
        self.positive, self.negative = (
            nn.Parameter(torch.tensor(0.3)),
            nn.Parameter(torch.tensor(0.2)),
        )

    def forward(self, input: Tensor) -> Tensor:
        edge = 0.05 * self.weight.abs().max()
        up, down = (self.weight > edge).float(), (self.weight < -edge).float()
        return self._conv_forward(input, self.positive * up - self.negative * down, None)


class TwoSidedConv(nn.Conv2d):
    """Weights of two values that are not opposite, as AdaBin has them."""

    def __init__(self, c: int, d: int) -> None:
        super().__init__(c, d, 3, padding=1, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, 0.1 * where_sign(self.weight) + 0.03, None)


def two_bits(x: Tensor) -> Tensor:
    """DoReFa's activation of two bits: 0, 1/3, 2/3, 1."""
    return torch.round(x.clamp(0, 1) * 3) / 3


class FewLevels(nn.Module):
    """One of each: ternary weights, weights of two sides, two-bit input, real weights, and one layer that is binary."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1, bias=False), nn.BatchNorm2d(12))
        self.ternary, self.two_sided = TernaryConv(12, 12), TwoSidedConv(12, 12)
        self.two_bit, self.binary = (
            BinaryConv2d(12, 12, 3, padding=1),
            BinaryConv2d(12, 12, 3, padding=1),
        )
        self.real = nn.Conv2d(12, 12, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(12) for _ in range(5))
        self.fc = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.norms[0](self.ternary(where_sign(x))) + x
        x = self.norms[1](self.two_sided(clip_sign(x))) + x
        x = self.norms[2](self.two_bit(two_bits(x))) + x
        x = self.norms[3](self.real(where_sign(x))) + x
        x = self.norms[4](self.binary(where_sign(x))) + x
        return self.fc(x.mean((2, 3)))


class Ttq(nn.Module):
    """Ternary weights and float activations throughout: no binary layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, 2, 1)
        self.convs = nn.ModuleList([TernaryConv(12, 12), TernaryConv(12, 12)])
        self.norms = nn.ModuleList([nn.BatchNorm2d(12), nn.BatchNorm2d(12)])
        self.fc = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)) + x)
        return self.fc(x.mean((2, 3)))


class TwoBit(nn.Module):
    """Binary weights and two-bit activations throughout: no binary layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1), nn.BatchNorm2d(12))
        self.convs = nn.ModuleList(
            [BinaryConv2d(12, 12, 3, padding=1), BinaryConv2d(12, 16, 3, 2, 1)]
        )
        self.norms = nn.ModuleList([nn.BatchNorm2d(12), nn.BatchNorm2d(16)])
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(two_bits(x)))
        return self.fc(two_bits(x).mean((2, 3)))
