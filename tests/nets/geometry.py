"""Layers of every shape: dense nets, one dimension, groups, dilation, large, flat and tiny kernels, odd channels."""

# mypy: disable-error-code="no-any-return"
# To mypy, a call of an nn.Module gives Any.

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .parts import BinaryConv1d, BinaryConv2d, BinaryLinear, clip_sign, mean_alpha, where_sign


class Mlp(nn.Module):
    """A multilayer perceptron for 28x28 digits, flattened inside or given as a vector."""

    def __init__(self, inputs: int = 49) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, 40)
        self.denses = nn.ModuleList([
            BinaryLinear(40, 48), BinaryLinear(48, 33, bias=False, alpha=mean_alpha, sign=where_sign)
        ])  # fmt: skip
        self.norms = nn.ModuleList([nn.BatchNorm1d(40), nn.BatchNorm1d(48), nn.BatchNorm1d(33)])
        self.last = nn.Linear(33, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norms[0](self.first(torch.flatten(x, 1)))
        for dense, norm in zip(self.denses, self.norms[1:], strict=True):
            x = norm(dense(clip_sign(x)))
        return self.last(F.relu(x))


class FlattenedMap(nn.Module):
    """A binary dense layer on the flattened bits of a map, not a mean of it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 12, 3, 2, 1, bias=False), nn.BatchNorm2d(12))
        self.conv, self.bn = BinaryConv2d(12, 20, 3, 2, 1), nn.BatchNorm2d(20)
        self.dense, self.norm = BinaryLinear(20 * 4 * 4, 24, alpha=mean_alpha), nn.BatchNorm1d(24)
        self.last = BinaryLinear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(clip_sign(self.stem(x))))
        x = self.norm(self.dense(clip_sign(x.flatten(1))))
        return self.last(clip_sign(x))


class Audio1d(nn.Module):
    """Keyword spotting on spectra over time: Conv1d, BatchNorm1d, MaxPool1d, mean over time."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(10, 24, 5, stride=2, padding=2)
        self.norms = nn.ModuleList(nn.BatchNorm1d(24) for _ in range(3))
        self.convs = nn.ModuleList([
            BinaryConv1d(24, 24, 3, padding=1, bias=False),
            BinaryConv1d(24, 24, 9, padding=8, dilation=2, groups=3, bias=False),
        ])  # fmt: skip
        self.prelu = nn.PReLU(24)
        self.fc = nn.Linear(24, 12)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norms[0](self.stem(x))
        for conv, norm in zip(self.convs, self.norms[1:], strict=True):
            x = self.prelu(norm(conv(clip_sign(x))) + x)
            x = F.max_pool1d(x, 2)
        return self.fc(x.mean(2))


class Sensor1d(nn.Module):
    """Three axes of an accelerometer: VALID Conv1d, average pools, a binary dense layer on the flattened rest."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn0 = nn.Conv1d(3, 16, 7, stride=2), nn.BatchNorm1d(16)
        self.conv, self.bn1 = BinaryConv1d(16, 33, 5, stride=2), nn.BatchNorm1d(33)
        self.dense, self.bn2 = BinaryLinear(33 * 6, 20, sign=where_sign), nn.BatchNorm1d(20)
        self.fc = nn.Linear(20, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool1d(self.bn1(self.conv(where_sign(self.bn0(self.stem(x))))), 2)
        x = self.bn2(self.dense(where_sign(x.flatten(1))))
        return self.fc(F.relu(x))


class Shapes(nn.Module):
    """Binary convolutions with the given kernels in a row, each with its skip where the sizes allow it."""

    def __init__(self, channels: int, *convs: BinaryConv2d) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        )
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(c.out_channels) for c in convs)
        self.act = nn.ModuleList(nn.PReLU(c.out_channels) for c in convs)
        self.fc = nn.Linear(convs[-1].out_channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for conv, norm, act in zip(self.convs, self.norms, self.act, strict=True):
            y = act(norm(conv(where_sign(x))))
            x = y + x if y.shape == x.shape else y
        return self.fc(x.mean((2, 3)))


def grouped() -> nn.Module:
    """Groups of 8, depthwise, depthwise with two outputs a channel, groups of channels that fill no word."""
    return Shapes(
        24,
        BinaryConv2d(24, 24, 3, padding=1, groups=3),
        BinaryConv2d(24, 24, 3, padding=1, groups=24),
        BinaryConv2d(24, 48, 3, stride=2, padding=1, groups=24),
        BinaryConv2d(48, 33, 1, groups=3),
    )


def dilated() -> nn.Module:
    """Dilation 2 and 3, also by axis."""
    return Shapes(
        16,
        BinaryConv2d(16, 16, 3, padding=2, dilation=2),
        BinaryConv2d(16, 16, 3, padding=(1, 3), dilation=(1, 3)),
        BinaryConv2d(16, 20, 3, stride=2, padding=2, dilation=2),
    )


def large_kernels() -> nn.Module:
    """5x5 and 7x7, the latter on a map that its border outgrows."""
    return Shapes(
        16,
        BinaryConv2d(16, 16, 5, padding=2),
        BinaryConv2d(16, 24, 7, stride=4, padding=3),
        BinaryConv2d(24, 24, 7, padding=3),
    )


def rectangular() -> nn.Module:
    """1x3, 3x1, 5x2, and strides by axis."""
    return Shapes(
        16,
        BinaryConv2d(16, 16, (1, 3), padding=(0, 1)),
        BinaryConv2d(16, 16, (3, 1), padding=(1, 0)),
        BinaryConv2d(16, 20, (5, 2), stride=(1, 2), padding=(2, 0)),
        BinaryConv2d(20, 20, (2, 3), stride=(3, 1)),
    )


def odd_channels() -> nn.Module:
    """Channels that are no multiple of 32, of 8, of 2."""
    return Shapes(
        13,
        BinaryConv2d(13, 13, 3, padding=1),
        BinaryConv2d(13, 33, 3, stride=2, padding=1),
        BinaryConv2d(33, 31, 1),
        BinaryConv2d(31, 65, 3, padding=1, bias=True),
        BinaryConv2d(65, 1, 3),
    )


class TinyMaps(nn.Module):
    """Down to 1x1, and on: 3x3 kernels whose border is all they see, 1x1 kernels, a gate on a 1x1 map."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16))
        self.convs = nn.ModuleList([
            BinaryConv2d(16, 24, 2, stride=2), BinaryConv2d(24, 32, 3, padding=1, stride=2),
            BinaryConv2d(32, 32, 3, padding=1), BinaryConv2d(32, 40, 1),
        ])  # fmt: skip
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in (24, 32, 32, 40))
        self.gate, self.head = nn.Conv2d(40, 40, 1), nn.Conv2d(40, 10, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(where_sign(x)))
        return self.head(torch.sigmoid(self.gate(x)) * x).flatten(1)
