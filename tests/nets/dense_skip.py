"""Nets in the style of Larq Zoo and of Bethge et al.: padding with +-1, blurs, dense concatenations."""

# mypy: disable-error-code="no-any-return"
# To mypy, a call of an nn.Module gives Any.

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .parts import BinaryConv2d, Sign, clip_sign, where_sign


def zeroless_sign(x: Tensor) -> Tensor:
    """torch.sign with its zeros made +1, as a port of Larq's ste_sign has it."""
    s = torch.sign(x)
    return torch.where(s == 0, torch.ones_like(s), s)


class PaddedConv(nn.Module):
    """Sign, border of +1 or -1 around the bits, VALID binary convolution."""

    def __init__(self, c: int, d: int, value: float, sign: Sign = zeroless_sign) -> None:
        super().__init__()
        self.conv, self.value, self.sign = BinaryConv2d(c, d, 3), value, sign

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(self.sign(x), (1, 1, 1, 1), value=self.value))


class EarlyPadConv(nn.Module):
    """The border comes before the sign: zeros, which the sign makes +1."""

    def __init__(self, c: int, d: int) -> None:
        super().__init__()
        self.conv = BinaryConv2d(c, d, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(where_sign(F.pad(x, (1, 1, 1, 1))))


class QuickBlock(nn.Module):
    """Bannink et al. 2021: convolution, ReLU, BN, skip."""

    def __init__(self, c: int, value: float) -> None:
        super().__init__()
        self.conv, self.bn = PaddedConv(c, c, value), nn.BatchNorm2d(c)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(F.relu(self.conv(x))) + x


class QuickNet(nn.Module):
    """Depthwise stem, blocks, and between them MaxPool, a depthwise blur and a real 1x1 convolution."""

    blur: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False), nn.BatchNorm2d(8),
            nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16),
        )  # fmt: skip
        self.first = nn.Sequential(QuickBlock(16, 1.0), QuickBlock(16, 1.0))
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("blur", (row[:, None] * row).expand(16, 1, 3, 3).contiguous())
        self.widen = nn.Sequential(nn.Conv2d(16, 32, 1, bias=False), nn.BatchNorm2d(32))
        self.second = nn.Sequential(QuickBlock(32, 1.0), QuickBlock(32, -1.0))
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.first(self.stem(x))), 2, 1)
        x = F.conv2d(x, self.blur, stride=2, padding=1, groups=16)
        x = self.second(self.widen(x))
        return self.fc(F.relu(x).mean((2, 3)))


class ResNetE(nn.Module):
    """Bethge et al. 2019: full-precision 1x1 downsampling, skips around each convolution; both borders."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.BatchNorm2d(3), nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
        )
        self.convs = nn.ModuleList([
            PaddedConv(16, 16, -1.0), EarlyPadConv(16, 16), PaddedConv(16, 16, 1.0, clip_sign)
        ])  # fmt: skip
        self.norms = nn.ModuleList(nn.BatchNorm2d(16) for _ in range(3))
        self.down = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(16, 32, 1), nn.BatchNorm2d(32)
        )
        self.conv, self.bn = BinaryConv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32)
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(x)) + x
        x = self.bn(self.conv(clip_sign(x))) + self.down(x)
        return self.fc(F.adaptive_avg_pool2d(F.relu(x), 1).flatten(1))


class DenseLayer(nn.Module):
    """BinaryDenseNet: BN, sign, 3x3 convolution; its few new channels are appended to the input's."""

    def __init__(self, c: int, growth: int, dilation: int = 1) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(c)
        self.conv = BinaryConv2d(c, growth, 3, padding=dilation, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv(clip_sign(self.bn(x)))], 1)


class ImproveLayer(nn.Module):
    """MeliusNet: a second convolution improves the newest channels only."""

    def __init__(self, c: int, newest: int) -> None:
        super().__init__()
        self.bn, self.newest = nn.BatchNorm2d(c), newest
        self.conv = BinaryConv2d(c, newest, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(clip_sign(self.bn(x)))
        return torch.cat([x[:, : -self.newest], x[:, -self.newest :] + y], 1)


class BinaryDenseNet(nn.Module):
    """Dense layers, MaxPool, ReLU and a real 1x1 reduction, dense layers."""

    def __init__(self, improve: bool) -> None:
        super().__init__()

        def stage(c: int) -> nn.Sequential:
            layers: list[nn.Module] = []
            for i in range(2):
                layers.append(DenseLayer(c + 8 * i, 8, 1 + i))
                if improve:
                    layers.append(ImproveLayer(c + 8 * i + 8, 8))
            return nn.Sequential(*layers)

        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
        )
        self.first, self.second = stage(16), stage(20)
        self.reduce = nn.Sequential(
            nn.BatchNorm2d(32), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(32, 20, 1, bias=False)
        )
        self.norm, self.fc = nn.BatchNorm2d(36), nn.Linear(36, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.reduce(self.first(self.stem(x))))
        return self.fc(F.relu(self.norm(x)).mean((2, 3)))
