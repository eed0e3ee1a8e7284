"""Nets that move values about: shuffled groups, repeated and averaged channels, cells, several inputs and outputs."""

# mypy: disable-error-code="no-any-return"
# To mypy, a call of an nn.Module gives Any.

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .parts import BinaryConv2d, Gate, Lambda, clip_sign, where_sign


class ShuffleUnit(nn.Module):
    """After Phan et al. 2020 (MoBiNet) and ShuffleNet: binary 1x1 convolutions in groups, their channels shuffled."""

    def __init__(self, c: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.points = nn.ModuleList(BinaryConv2d(c, c, 1, groups=groups) for _ in range(2))
        self.depth = BinaryConv2d(c, c, 3, padding=1, groups=c)
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        y = self.norms[0](self.points[0](where_sign(x))) + x
        y = y.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)
        y = self.norms[1](self.depth(where_sign(y))) + y
        left, right = y.chunk(2, 1)
        y = torch.cat([right, left], 1)
        return self.norms[2](self.points[1](where_sign(y))) + y


class ShuffleNet(nn.Module):
    """Two such units."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24))
        self.units = nn.Sequential(ShuffleUnit(24, 3), ShuffleUnit(24, 4))
        self.fc = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.units(self.stem(x)).mean((2, 3)))


class DPReLU(nn.Module):
    """Zhang et al. 2022 (PokeBNN): a PReLU whose bend and both slopes are learned, per channel."""

    def __init__(self, c: int) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(c)
        self.bend, self.lift = (nn.Parameter(0.2 * torch.randn(c, 1, 1, generator=g)) for _ in "xy")
        self.low, self.high = (nn.Parameter(torch.rand(c, 1, 1, generator=g)) for _ in "xy")

    def forward(self, x: Tensor) -> Tensor:
        x = x - self.bend
        return torch.where(x > 0, self.high * x, self.low * x) - self.lift


class PokeConv(nn.Module):
    """Binary convolution, BN, a skip whose channels are repeated or averaged to fit, DPReLU, gate with ReLU6."""

    def __init__(self, c: int, d: int, k: int, stride: int = 1) -> None:
        super().__init__()
        self.c, self.d, self.stride = c, d, stride
        self.conv, self.norm = BinaryConv2d(c, d, k, stride, k // 2), nn.BatchNorm2d(d)
        self.act = DPReLU(d)
        self.gate = Gate(d, d, Lambda(lambda z: F.relu6(z + 3) / 6), convs=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(clip_sign(x)))
        skip = F.avg_pool2d(x, 3, self.stride, 1) if self.stride > 1 else x
        if self.d > self.c:
            skip = torch.cat([skip] * (self.d // self.c), 1)
        elif self.d < self.c:
            n, _, h, w = skip.shape
            skip = skip.view(n, self.c // self.d, self.d, h, w).mean(1)
        y = self.act(y + skip)
        return y * self.gate(y)


class PokeBnn(nn.Module):
    """A bottleneck: 1x1 down, 3x3, 1x1 up, with a stride in the middle of the second."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 4, 4, bias=False), nn.BatchNorm2d(32))
        self.blocks = nn.Sequential(
            PokeConv(32, 16, 1), PokeConv(16, 16, 3), PokeConv(16, 32, 1),
            PokeConv(32, 16, 1), PokeConv(16, 16, 3, 2), PokeConv(16, 64, 1),
        )  # fmt: skip
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.blocks(self.stem(x)).mean((2, 3)))


class Cell(nn.Module):
    """Bulat et al. 2020 (BATS): dilated and grouped binary convolutions and pools, summed; all nodes concatenated."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(c)
        self.convs = nn.ModuleList([
            BinaryConv2d(c, c, 3, padding=2, dilation=2, groups=c // 8),
            BinaryConv2d(c, c, 5, padding=2, groups=c // 8),
            BinaryConv2d(c, c, 3, padding=1),
        ])  # fmt: skip
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for _ in range(3))
        self.merge = BinaryConv2d(3 * c, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        bits = clip_sign(self.norm(x))  # one sign for two convolutions
        one = F.relu(self.norms[0](self.convs[0](bits))) + F.max_pool2d(x, 3, 1, 1)
        two = self.norms[1](self.convs[1](bits)) + F.avg_pool2d(
            one, 3, 1, 1, count_include_pad=False
        )
        three = self.norms[2](self.convs[2](clip_sign(two))) + one
        y = self.merge(clip_sign(torch.cat([one, two, three], 1)))
        return y + x


class Bats(nn.Module):
    """Two cells."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16))
        self.cells = nn.Sequential(Cell(16), Cell(16))
        self.norm, self.fc = nn.BatchNorm2d(16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.relu(self.norm(self.cells(self.stem(x)))).mean((2, 3)))


class TwoStreams(nn.Module):
    """An image and a vector of sensors in; classes, and a map of boxes as a detector has it, out."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16))
        self.sensors, self.norm = nn.Linear(6, 16), nn.BatchNorm2d(16)
        self.conv, self.bn = BinaryConv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.head, self.boxes = BinaryConv2d(16, 16, 3, padding=1), nn.Conv2d(16, 5, 1)
        self.fc = nn.Linear(32, 10)

    def forward(self, image: Tensor, sensors: Tensor) -> tuple[Tensor, Tensor]:
        s = torch.sigmoid(self.sensors(sensors))
        x = self.stem(image) * s[:, :, None, None]
        x = self.bn(self.conv(where_sign(self.norm(x)))) + x
        boxes = self.boxes(F.relu(self.head(where_sign(x))))
        return self.fc(torch.cat([x.mean((2, 3)), s], 1)), torch.sigmoid(boxes)
