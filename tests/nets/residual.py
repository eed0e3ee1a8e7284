"""Binary ResNets with a skip around each convolution: Bi-Real, Real-to-Binary, CI-Net, ReActNet."""

# mypy: disable-error-code="no-any-return"
# To mypy, a call of an nn.Module gives Any.

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .parts import BinaryConv2d, Gate, Lambda, Shift, clip_sign, no_alpha, polynomial_sign

Down = Literal["real", "binary"]


class HardBinaryConv(nn.Module):
    """The same as Bi-Real and ReActNet publish it: flat `weights`, the scale inside of the straight-through sum."""

    def __init__(self, c: int, d: int, k: int, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.padding, self.shape = stride, k // 2, (d, c, k, k)
        weights = torch.randn((d * c * k * k, 1), generator=_seeded(c + d + k)) / k
        self.weights = nn.Parameter(weights)

    def forward(self, x: Tensor) -> Tensor:
        w = self.weights.view(self.shape)
        alpha = w.abs().mean(3, keepdim=True).mean(2, keepdim=True).mean(1, keepdim=True).detach()
        hard, soft = alpha * torch.sign(w), w.clamp(-1.0, 1.0)
        weight = hard.detach() - soft.detach() + soft
        return F.conv2d(x, weight, stride=self.stride, padding=self.padding)


def average_down(c: int, d: int) -> nn.Sequential:
    return nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(c, d, 1, bias=False), nn.BatchNorm2d(d))


class BiRealBlock(nn.Module):
    """Liu et al. 2018: sign, 3x3 convolution, BN, skip."""

    def __init__(self, c: int, d: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = HardBinaryConv(c, d, 3, stride)
        self.bn = nn.BatchNorm2d(d)
        self.down = average_down(c, d) if stride == 2 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(self.conv(polynomial_sign(x)))
        return y + self.down(x)


class ReActBlock(nn.Module):
    """Liu et al. 2020 on ResNet-18: shift, sign, convolution, BN, skip, shift, PReLU, shift."""

    def __init__(self, c: int, d: int, stride: int = 1) -> None:
        super().__init__()
        self.move0, self.conv, self.bn = (
            Shift(c),
            HardBinaryConv(c, d, 3, stride),
            nn.BatchNorm2d(d),
        )
        self.act = nn.Sequential(Shift(d), nn.PReLU(d), Shift(d))
        self.down = average_down(c, d) if stride == 2 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(self.conv(polynomial_sign(self.move0(x)))) + self.down(x)
        return self.act(y)


class ResNet(nn.Module):
    """ImageNet's shape in small: 7x7 stem with stride 2, MaxPool, blocks, mean, dense."""

    def __init__(self, block: type[BiRealBlock] | type[ReActBlock]) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 7, 2, 3, bias=False), nn.BatchNorm2d(16), nn.MaxPool2d(3, 2, 1)
        )
        self.blocks = nn.Sequential(block(16, 16), block(16, 32, 2), block(32, 32))
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.stem(x))
        return self.fc(F.adaptive_avg_pool2d(x, 1).view(x.size(0), -1))


class R2BUnit(nn.Module):
    """Martinez et al. 2020: BN, sign, convolution, scale, PReLU, skip around each convolution.

    The strong baseline has a scale of each channel, or of each place of the map; Real-to-Binary a gate beside it.
    """

    def __init__(self, c: int, d: int, size: int, down: Down, gated: bool) -> None:
        super().__init__()
        stride = 1 if c == d else 2
        self.bn = nn.BatchNorm2d(c)
        self.conv = BinaryConv2d(c, d, 3, stride, 1, alpha=no_alpha)
        places = (d, 1, 1) if gated else (1, size // stride, size // stride)
        self.scale = nn.Parameter(0.05 + 0.1 * torch.rand(places, generator=_seeded(c + d)))
        self.gate = Gate(c, d) if gated else None
        self.prelu = nn.PReLU(d)
        self.skip: nn.Module = nn.Identity()
        if stride == 2 and down == "real":
            self.skip = average_down(c, d)
        elif stride == 2:
            conv = BinaryConv2d(c, d, 1)
            self.skip = nn.Sequential(
                nn.AvgPool2d(2), nn.BatchNorm2d(c), Lambda(clip_sign), conv, nn.BatchNorm2d(d)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(x)
        out = self.conv(clip_sign(y)) * self.scale
        if self.gate is not None:
            out = out * self.gate(y)
        return self.prelu(out) + self.skip(x)


class RealToBinary(nn.Module):
    """Stem, units in two widths, mean, dense. Input 0..255 is brought to mean 0 and deviation 1 first."""

    def __init__(self, down: Down, gated: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.PReLU()
        )
        self.units = nn.Sequential(
            R2BUnit(16, 16, 8, down, gated), R2BUnit(16, 32, 8, down, gated),
            R2BUnit(32, 32, 4, down, gated),
        )  # fmt: skip
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.units(self.stem((x - 0.45) / 0.25)).mean((2, 3)))


class InteractionUnit(nn.Module):
    """After Wang et al. 2019 (CI-BCNN): the count of one channel corrects others, through a step function."""

    weight: Tensor

    def __init__(self, c: int) -> None:
        super().__init__()
        self.move, self.conv = Shift(c), BinaryConv2d(c, c, 3, padding=1, alpha=no_alpha)
        edges = (torch.rand(c, c, 1, 1, generator=_seeded(c)) < 0.1).float()
        self.register_buffer("weight", edges * torch.randn(c, c, 1, 1, generator=_seeded(5)) * 4)
        self.norm, self.prelu = nn.BatchNorm2d(c), nn.PReLU(c)

    def forward(self, x: Tensor) -> Tensor:
        count = self.conv(clip_sign(self.move(x)))
        corrected = count + F.conv2d((count > 2).float(), self.weight)
        return self.prelu(self.norm(corrected) + x)


class CiNet(nn.Module):
    """Interacting units between a real stem and a real classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16))
        self.units = nn.Sequential(InteractionUnit(16), InteractionUnit(16))
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.units(self.stem(x)).mean((2, 3)))


class ReActMobileBlock(nn.Module):
    """ReActNet-A on MobileNet: a 3x3 and a 1x1 binary convolution; twice the channels come from two 1x1, by Concat."""

    def __init__(self, c: int, d: int, stride: int = 1) -> None:
        super().__init__()
        self.move11, self.conv3, self.bn1 = (
            Shift(c),
            HardBinaryConv(c, c, 3, stride),
            nn.BatchNorm2d(c),
        )
        self.act1 = nn.Sequential(Shift(c), nn.PReLU(c), Shift(c))
        self.move21 = Shift(c)
        self.points = nn.ModuleList(HardBinaryConv(c, c, 1) for _ in range(d // c))
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for _ in range(d // c))
        self.act2 = nn.Sequential(Shift(d), nn.PReLU(d), Shift(d))
        self.pool = nn.AvgPool2d(2, 2) if stride == 2 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv3(polynomial_sign(self.move11(x))))
        y = self.act1(self.pool(x) + y)
        bits = polynomial_sign(self.move21(y))
        outs = [norm(p(bits)) + y for p, norm in zip(self.points, self.norms, strict=True)]
        return self.act2(torch.cat(outs, dim=1) if len(outs) > 1 else outs[0])


class ReActNetA(nn.Module):
    """Real 3x3 stem, mobile blocks, mean, dense."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16))
        self.blocks = nn.Sequential(
            ReActMobileBlock(16, 32), ReActMobileBlock(32, 64, 2), ReActMobileBlock(64, 64)
        )
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.adaptive_avg_pool2d(self.blocks(self.stem(x)), 1)
        return self.fc(x.view(x.size(0), -1))


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
