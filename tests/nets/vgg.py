"""Plain stacks of binary layers: BinaryNet, XNOR-Net, XNOR-Net++, and a VGG as Brevitas writes it."""

# mypy: disable-error-code="no-any-return"
# To mypy, a call of an nn.Module gives Any.

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .parts import (
    BinaryConv2d,
    BinaryLinear,
    Lambda,
    cast_sign,
    clip_sign,
    function_sign,
    mean_alpha,
    no_alpha,
    tensor_alpha,
    where_clamp,
)


class BinaryNet(nn.Module):
    """Courbariaux et al. 2016, a VGG: weights of -1 and +1 from the first layer to the last, biases, no alpha.

    The first layer's input is real. MaxPool stands between convolution and BatchNorm, then comes hardtanh, and each
    layer takes the sign of what it is given.
    """

    def __init__(self, log_softmax: bool = True) -> None:
        super().__init__()

        def conv(c: int, d: int) -> BinaryConv2d:
            return BinaryConv2d(c, d, 3, padding=1, bias=True, alpha=no_alpha, sign=torch.sign)

        self.first = conv(3, 16)
        self.convs = nn.ModuleList([conv(16, 16), conv(16, 24), conv(24, 24)])
        self.pools = (True, False, True)
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in (16, 16, 24, 24))
        self.denses = nn.ModuleList(
            BinaryLinear(i, o, sign=torch.sign) for i, o in ((24 * 16, 32), (32, 32), (32, 10))
        )
        self.vector_norms = nn.ModuleList([nn.BatchNorm1d(32), nn.BatchNorm1d(32)])
        self.last_norm = nn.BatchNorm1d(10, affine=False)
        self.log_softmax = log_softmax

    def forward(self, x: Tensor) -> Tensor:
        x = F.hardtanh(self.norms[0](self.first(x)))
        for conv, norm, pool in zip(self.convs, self.norms[1:], self.pools, strict=True):
            x = conv(torch.sign(x))
            x = F.hardtanh(norm(F.max_pool2d(x, 2) if pool else x))
        x = x.view(-1, 24 * 16)
        for dense, norm in zip(self.denses, self.vector_norms, strict=False):
            x = F.hardtanh(norm(dense(torch.sign(x))))
        x = self.last_norm(self.denses[-1](torch.sign(x)))
        return F.log_softmax(x, dim=1) if self.log_softmax else x


class XnorBlock(nn.Module):
    """Rastegari et al. 2016: BN, sign, binary convolution, times alpha and K, ReLU.

    K is the mean magnitude over the channels of the input, averaged over each window.
    """

    box: Tensor

    def __init__(self, c: int, d: int, k: int, stride: int = 1) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(c)
        self.conv = BinaryConv2d(c, d, k, stride, k // 2, alpha=no_alpha, sign=function_sign)
        self.register_buffer("box", torch.full((1, 1, k, k), 1 / (k * k)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(x)
        mean = x.abs().mean(1, keepdim=True)
        scale = F.conv2d(mean, self.box, stride=self.conv.stride, padding=self.conv.padding)
        y = self.conv(function_sign(x)) * scale * mean_alpha(self.conv.weight).view(1, -1, 1, 1)
        return F.relu(y)


class XnorNet(nn.Module):
    """Real first layer, XNOR blocks with 5x5, 3x3 and 1x1 kernels, real classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.Sequential(
            XnorBlock(16, 24, 5),
            nn.MaxPool2d(3, 2, 1),
            XnorBlock(24, 32, 3, stride=2),
            XnorBlock(32, 32, 1),
        )
        self.head = nn.Conv2d(32, 10, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.avg_pool2d(self.head(self.blocks(self.stem(x))), 4)
        return y.view(y.shape[0], -1)


class NetworkInNetwork(nn.Module):
    """XNOR-Net without K, as its PyTorch ports have it: BN, sign, conv with alpha, ReLU; 5x5 and 1x1, both pools."""

    def __init__(self) -> None:
        super().__init__()

        def block(c: int, d: int, k: int) -> nn.Sequential:
            return nn.Sequential(
                nn.BatchNorm2d(c, eps=1e-4, momentum=0.1),
                Lambda(torch.sign),
                BinaryConv2d(c, d, k, padding=k // 2, bias=True),
                nn.ReLU(),
            )

        self.xnor = nn.Sequential(
            nn.Conv2d(3, 24, 5, padding=2),
            nn.BatchNorm2d(24, eps=1e-4, momentum=0.1),
            nn.ReLU(),
            block(24, 20, 1),
            block(20, 16, 1),
            nn.MaxPool2d(3, stride=2, padding=1),
            block(16, 24, 5),
            nn.AvgPool2d(3, stride=2, padding=1),
            block(24, 24, 3),
            nn.BatchNorm2d(24, eps=1e-4, momentum=0.1),
            nn.Conv2d(24, 10, 1),
            nn.ReLU(),
            nn.AvgPool2d(4),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.xnor(x)
        return y.view(y.size(0), 10)


class XnorPlusPlus(nn.Module):
    """Bulat and Tzimiropoulos 2019: a learned scale over channel, height and width, whole or of rank one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16))
        self.convs = nn.ModuleList(
            BinaryConv2d(c, d, 3, s, 1, alpha=no_alpha)
            for c, d, s in ((16, 16, 1), (16, 24, 2), (24, 24, 1))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in (16, 16, 24))
        self.whole = nn.Parameter(torch.rand(16, 16, 16, generator=_seeded(1)))
        self.channel, self.high, self.wide = (
            nn.Parameter(0.2 + torch.rand(shape, generator=_seeded(i)))
            for i, shape in enumerate([(24, 1, 1), (1, 8, 1), (1, 1, 8)])
        )
        self.alpha = nn.Parameter(0.1 * torch.randn(24, 1, 1, generator=_seeded(3)))
        self.fc = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        scales = (self.whole, self.channel * self.high * self.wide, self.alpha)
        for conv, norm, scale in zip(self.convs, self.norms, scales, strict=True):
            y = F.relu(conv(clip_sign(norm(x))) * scale)
            x = y + x if y.shape == x.shape else y
        return self.fc(x.mean((2, 3)))


class BrevitasVgg(nn.Module):
    """A VGG as FINN and Brevitas build it: 8-bit input, VALID convolutions, sign before MaxPool, one scale a tensor."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()

        def conv(c: int, d: int) -> BinaryConv2d:
            return BinaryConv2d(c, d, 3, alpha=tensor_alpha, sign=cast_sign)

        def act(c: int, norm: type[nn.Module] = nn.BatchNorm2d) -> nn.Sequential:
            return nn.Sequential(norm(c), Lambda(cast_sign))

        self.features = nn.Sequential(
            conv(3, 16), act(16), conv(16, 16), act(16), nn.MaxPool2d(2),
            conv(16, 24), act(24), conv(24, 24), act(24), nn.MaxPool2d(2),
        )  # fmt: skip

        def dense(i: int, o: int) -> BinaryLinear:
            return BinaryLinear(i, o, bias=False, alpha=tensor_alpha, sign=cast_sign)

        self.classifier = nn.Sequential(
            dense(24 * 4, 32), act(32, nn.BatchNorm1d), dense(32, 10), nn.BatchNorm1d(10)
        )
        self.register_buffer("scale", torch.tensor(1 / 32))

    def forward(self, x: Tensor) -> Tensor:
        x = where_clamp(torch.round((2.0 * x - 1.0) / self.scale), -128.0, 127.0) * self.scale
        x = self.features(x)
        return self.classifier(x.view(x.shape[0], -1))


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
