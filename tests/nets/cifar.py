"""ResNet-20 and its kin: IR-Net, ReCU, the `bnn` package's style, and BNext."""

# mypy: disable-error-code="no-any-return"
# To mypy, a call of an nn.Module gives Any.

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .parts import (
    Gate,
    Lambda,
    Shift,
    function_sign,
    polynomial_sign,
)


class IrConv(nn.Conv2d):
    """Qin et al. 2020: weights balanced and standardised, scaled by a power of two (a shift)."""

    def forward(self, input: Tensor) -> Tensor:
        w = self.weight
        n = w.size(0)
        balanced = w - w.view(n, -1).mean(-1).view(n, 1, 1, 1)
        standard = balanced / balanced.view(n, -1).std(-1).view(n, 1, 1, 1)
        mean = standard.abs().view(n, -1).mean(-1)
        exponent = (torch.log(mean) / math.log(2)).round().float()
        scale = torch.pow(torch.tensor([2] * n).float(), exponent).view(n, 1, 1, 1).detach()
        weight = function_sign(standard) * scale
        return F.conv2d(
            function_sign(input), weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )  # fmt: skip


class ReCuConv(nn.Conv2d):
    """Xu et al. 2021: weights standardised, the far ones pulled back to a quantile; alpha learned, after the conv."""

    tau: Tensor

    def __init__(self, *args: int, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.alpha = nn.Parameter(
            torch.rand(self.out_channels, 1, 1, generator=torch.Generator().manual_seed(2)) + 0.1
        )
        self.register_buffer("tau", torch.tensor(0.85))

    def forward(self, input: Tensor) -> Tensor:
        w = self.weight
        w = w - w.mean([1, 2, 3], keepdim=True)
        w = w / (torch.sqrt(w.var([1, 2, 3], keepdim=True) + 1e-5) / 2 / math.sqrt(2))
        far = (-w.abs().mean([1, 2, 3], keepdim=True) * torch.log(2 - 2 * self.tau)).detach()
        w = torch.max(torch.min(w, far), -far)
        y = F.conv2d(
            function_sign(input), function_sign(w), self.bias, self.stride, self.padding, self.dilation, self.groups
        )  # fmt: skip
        return y * self.alpha


class MaxoutAct(nn.Module):
    """Two learned slopes of each channel: ReLU for what is above 0 and for what is below."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(channels)
        self.up = nn.Parameter(torch.rand(1, channels, 1, 1, generator=g))
        self.down = nn.Parameter(torch.rand(1, channels, 1, 1, generator=g))

    def forward(self, x: Tensor) -> Tensor:
        return self.up * F.relu(x) - self.down * F.relu(-x)


Conv = type[IrConv] | type[ReCuConv]


class OptionABlock(nn.Module):
    """Convolution, BN, skip, hardtanh, twice; a wider skip takes every second place and pads with zero channels."""

    def __init__(self, conv: Conv, act: Callable[[int], nn.Module], c: int, d: int) -> None:
        super().__init__()
        stride = 1 if c == d else 2
        self.conv1 = conv(c, d, 3, stride=stride, padding=1, bias=False)
        self.conv2 = conv(d, d, 3, stride=1, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(d), nn.BatchNorm2d(d)
        self.act1, self.act2 = act(d), act(d)
        self.shortcut: nn.Module = nn.Identity()
        if stride == 2:
            pads = (0, 0, 0, 0, (d - c) // 2, (d - c) // 2)
            self.shortcut = Lambda(lambda x: F.pad(x[:, :, ::2, ::2], pads, "constant", 0))

    def forward(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv1(x)) + self.shortcut(x))
        return self.act2(self.bn2(self.conv2(x)) + x)


class ResNet20(nn.Module):
    """CIFAR's shape in small: 3x3 stem, a block a width, mean, BN of the vector, dense."""

    def __init__(self, conv: Conv, act: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
        self.blocks = nn.Sequential(
            OptionABlock(conv, act, 8, 8),
            OptionABlock(conv, act, 8, 16),
            OptionABlock(conv, act, 16, 32),
        )
        self.bn2, self.linear = nn.BatchNorm1d(32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.hardtanh(self.bn1(self.conv1(x))))
        x = F.avg_pool2d(x, x.size()[3])
        return self.linear(self.bn2(x.view(x.size(0), -1)))


def ir_net() -> nn.Module:
    """Hardtanh throughout."""
    return ResNet20(IrConv, lambda _: nn.Hardtanh())


def recu() -> nn.Module:
    """Maxout throughout."""
    return ResNet20(ReCuConv, MaxoutAct)


class CenteredConv(nn.Conv2d):
    """The `bnn` package's XNORWeightBinarizer with centred weights; the input's sign is taken here as well."""

    def forward(self, input: Tensor) -> Tensor:
        w = self.weight
        w = w - w.mean(1, keepdim=True)
        alpha = (w.abs().sum((1, 2, 3), keepdim=True) / w[0].numel()).detach()
        weight = torch.sign(w) * alpha.expand_as(w)
        return self._conv_forward(torch.sign(input), weight, self.bias)


class BnnBlock(nn.Module):
    """torchvision's BasicBlock with such convolutions: ReLU comes before the next sign, so that bits are {0, 1}."""

    def __init__(self, c: int, d: int) -> None:
        super().__init__()
        stride = 1 if c == d else 2
        self.conv1 = CenteredConv(c, d, 3, stride, 1, bias=False)
        self.conv2 = CenteredConv(d, d, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(d), nn.BatchNorm2d(d)
        self.down: nn.Module = nn.Identity()
        if stride == 2:
            self.down = nn.Sequential(
                CenteredConv(c, d, 1, 2, bias=False), nn.BatchNorm2d(d)
            )  # binary as well: all but the first and the last layer are converted

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.down(x))


class DaBnnStem(nn.Module):
    """The stem of dabnn, binarised but for its first layer: a Concat of what two ReLUs gave goes into a sign."""

    def __init__(self, c: int) -> None:
        super().__init__()

        def block(conv: nn.Conv2d) -> nn.Sequential:
            return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU())

        self.conv1 = block(nn.Conv2d(3, c // 2, 3, 2, 1, bias=False))
        self.conv2_1 = block(CenteredConv(c // 2, c // 4, 1, bias=False))
        self.conv2_2 = block(CenteredConv(c // 4, c // 2, 3, 2, 1, bias=False))
        self.conv3 = block(CenteredConv(c, c, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        pooled = F.max_pool2d(x, 3, 2, 1)
        return self.conv3(torch.cat([self.conv2_2(self.conv2_1(x)), pooled], 1))


class BnnResNet(nn.Module):
    """ResNet-18's shape in small."""

    def __init__(self, dabnn_stem: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 7, 2, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        ) if not dabnn_stem else DaBnnStem(16)  # fmt: skip
        self.blocks = nn.Sequential(BnnBlock(16, 16), BnnBlock(16, 32))
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.adaptive_avg_pool2d(self.blocks(self.stem(x)), (1, 1))
        return self.fc(torch.flatten(x, 1))


class TemperatureConv(nn.Conv2d):
    """BNext's convolution: weights go from a clip to the sign as a temperature, kept as a buffer, falls to 0."""

    temperature: Tensor

    def __init__(self, c: int, d: int, k: int, stride: int = 1) -> None:
        super().__init__(c, d, k, stride, k // 2, bias=False)
        self.register_buffer("temperature", torch.tensor(1e-9))

    def forward(self, input: Tensor) -> Tensor:
        hard = (self.weight / self.temperature.clamp(min=1e-8)).clamp(-1, 1)
        return self._conv_forward(input, torch.sign(hard), None)


class BNextAttention(nn.Module):
    """Guo et al. 2022: a gate on a learned mix of input and output, times the input again, then BN and skip."""

    def __init__(self, c: int, stride: int = 1) -> None:
        super().__init__()
        self.move, self.conv, self.norm1 = (
            Shift(c),
            TemperatureConv(c, c, 3, stride),
            nn.BatchNorm2d(c),
        )
        self.act = nn.PReLU(c)
        self.gate = Gate(c, c, nn.Hardsigmoid(), convs=True)
        self.mix = nn.Parameter(torch.full((1, c, 1, 1), 0.3))
        self.norm2 = nn.BatchNorm2d(c)
        self.pool = nn.AvgPool2d(2) if stride == 2 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        residual = self.pool(x)
        y = self.act(self.norm1(self.conv(polynomial_sign(self.move(x)))))
        mixed = self.mix * residual + y * (1 - self.mix)
        y = self.gate(mixed) * y
        return self.norm2(y * residual) + residual


class BNextFeedForward(nn.Module):
    """A 1x1 convolution with its gate; as many channels again come by Concat."""

    def __init__(self, c: int, copies: int) -> None:
        super().__init__()
        self.moves = nn.ModuleList(Shift(c) for _ in range(copies))
        self.convs = nn.ModuleList(TemperatureConv(c, c, 1) for _ in range(copies))
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for _ in range(copies))
        self.gates = nn.ModuleList(Gate(c, c) for _ in range(copies))
        self.act = nn.PReLU(copies * c)

    def forward(self, x: Tensor) -> Tensor:
        outs = [
            gate(x) * norm(conv(polynomial_sign(move(x)))) + x
            for move, conv, norm, gate in zip(self.moves, self.convs, self.norms, self.gates, strict=True)
        ]  # fmt: skip
        return self.act(torch.cat(outs, 1))


class BNext(nn.Module):
    """Real stem, attention and feed-forward modules in two widths, mean, BN of the vector, dense."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16))
        self.blocks = nn.Sequential(
            BNextAttention(16), BNextFeedForward(16, 2), BNextAttention(32, 2), BNextFeedForward(32, 1)
        )  # fmt: skip
        self.prelu, self.fc = nn.PReLU(32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.prelu(self.blocks(self.stem(x)))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))
