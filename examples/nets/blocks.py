"""The Real-to-Binary unit and the parts around it.

Martinez, Yang, Bulat, Tzimiropoulos, "Training Binary Neural Networks with Real-to-Binary
Convolutions", ICLR 2020. All maps are NCHW; c and d are the input and output channels of a unit.

One unit, `y = skip(x) + PReLU(conv(sign(BN(x)), sign(w)) * alpha * G(x))`:

    x ----+-> BN -> sign -> 3x3 binary conv -> * alpha[d] * gate[n, d] -> PReLU[d] -> (+) -> y
          +-> G: mean over h, w -> Linear c -> c/8 -> ReLU -> Linear -> d -> sigmoid -> gate
          +-> skip: x, or 2x2 average pool -> 1x1 float conv -> BN where the shape changes -----^

sign(0) is +1 for activations and for weights. Outside eval mode both signs pass the gradient
straight through where |value| <= 1. In eval mode no straight-through term is built, so that an
exported graph holds `where(x >= 0, 1, -1)` and plain operators only.

The paper trains in stages; `set_stage` switches a whole net between them:

    activation: "relu" (float teacher), "tanh" (soft binarisation), "sign"
    weights:    "real" (alpha is not used), "binary"
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["relu", "tanh", "sign"]
Weights = Literal["real", "binary"]


def binarize(x: Tensor, straight_through: bool) -> Tensor:
    """+1 where x >= 0, else -1; any shape. The gradient, if asked for, is that of clip(x, -1, 1)."""
    hard = torch.where(x >= 0, 1.0, -1.0)
    if not straight_through:
        return hard
    soft = x.clamp(-1.0, 1.0)
    return hard + (soft - soft.detach())  # the bracket is exactly 0: the result stays exactly +-1


class BinaryActivation(nn.Module):
    """sign with sign(0) = +1, or one of the stand-ins of the earlier stages. Keeps the shape."""

    def __init__(self, mode: Activation = "sign") -> None:
        super().__init__()
        self.mode: Activation = mode

    def forward(self, x: Tensor) -> Tensor:
        if self.mode == "relu":
            return F.relu(x)
        if self.mode == "tanh":
            return torch.tanh(x)
        return binarize(x, self.training)


class BinaryConv2d(nn.Module):
    """3x3 convolution with zero padding 1, no bias: [n, c, h, w] -> [n, d, h/stride, w/stride].

    `weight` [d, c, 3, 3] is the latent real weight; its sign is used in "binary" mode. `alpha`
    [d, 1, 1] is not applied here: the unit multiplies it by the gate first, which is cheaper.
    """

    def __init__(self, c: int, d: int, stride: int = 1, weights: Weights = "binary") -> None:
        super().__init__()
        self.weights: Weights = weights
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(d, c, 3, 3))
        self.alpha = nn.Parameter(torch.empty(d, 1, 1))
        nn.init.kaiming_normal_(self.weight)
        self.reset_alpha()

    @torch.no_grad()
    def reset_alpha(self) -> None:
        """Starts alpha at the mean of |weight| of each output channel."""
        self.alpha.copy_(self.weight.abs().mean((1, 2, 3)).reshape(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        weight: Tensor = self.weight
        if self.weights == "binary":
            weight = binarize(weight, self.training)
        return F.conv2d(x, weight, stride=self.stride, padding=1)


class Gate(nn.Module):
    """Channel gate G of the paper: [n, c, h, w] -> [n, d, 1, 1], values in (0, 1). Stays float."""

    def __init__(self, c: int, d: int, reduction: int = 8) -> None:
        super().__init__()
        self.squeeze = nn.Linear(c, c // reduction)
        self.excite = nn.Linear(c // reduction, d)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.squeeze(x.mean((2, 3))))
        return torch.sigmoid(self.excite(hidden)).unsqueeze(2).unsqueeze(3)


class Downsample(nn.Module):
    """Real-valued skip: 2x2 average pool, 1x1 conv, BN: [n, c, h, w] -> [n, d, h/2, w/2]."""

    def __init__(self, c: int, d: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(2)
        self.conv = nn.Conv2d(c, d, 1, bias=False)
        self.bn = nn.BatchNorm2d(d)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn(self.conv(self.pool(x)))
        return y


class Unit(nn.Module):
    """One Real-to-Binary unit with its own skip: [n, c, h, w] -> [n, d, h/stride, w/stride]."""

    def __init__(self, c: int, d: int, stride: int = 1) -> None:
        super().__init__()
        if (c == d) != (stride == 1):
            raise ValueError(f"channels {c} -> {d} with stride {stride}: both change, or neither")
        self.bn = nn.BatchNorm2d(c)
        self.activation = BinaryActivation()
        self.conv = BinaryConv2d(c, d, stride)
        self.gate = Gate(c, d)
        self.prelu = nn.PReLU(d)
        self.downsample = Downsample(c, d) if stride == 2 else None

    def forward(self, x: Tensor) -> Tensor:
        scale = self.gate(x)
        if self.conv.weights == "binary":
            scale = self.conv.alpha * scale
        y: Tensor = self.prelu(self.conv(self.activation(self.bn(x))) * scale)
        return y + (x if self.downsample is None else self.downsample(x))


class Normalize(nn.Module):
    """Pixels 0..255 to zero mean and unit deviation; mean and std are given for 0..1 pixels."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1) * 255.0)
        self.register_buffer("std", torch.tensor(std).reshape(-1, 1, 1) * 255.0)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class R2BNet(nn.Module):
    """Normalisation, float stem, units, global average pool, float classifier.

    [n, 3, h, w] pixels 0..255 -> [n, num_classes] logits.
    """

    def __init__(
        self,
        normalize: Normalize,
        stem: nn.Module,
        units: Iterable[Unit],
        num_features: int,
        num_classes: int,
    ) -> None:
        super().__init__()
        self.normalize = normalize
        self.stem = stem
        self.units = nn.ModuleList(units)
        self.classifier = nn.Linear(num_features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_with_maps(x)[0]

    def forward_with_maps(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The logits, and the map after every second unit (a ResNet block) for attention loss."""
        x = self.stem(self.normalize(x))
        maps: list[Tensor] = []
        for i, unit in enumerate(self.units):
            x = unit(x)
            if i % 2 == 1:
                maps.append(x)
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits, maps

    def set_stage(self, activation: Activation, weights: Weights) -> None:
        """Switches every unit. Going from real to binary weights restarts alpha at mean |w|."""
        for module in self.modules():
            if isinstance(module, BinaryActivation):
                module.mode = activation
            elif isinstance(module, BinaryConv2d):
                if module.weights == "real" and weights == "binary":
                    module.reset_alpha()
                module.weights = weights


def make_units(widths: Sequence[int], units_per_stage: int = 4) -> list[Unit]:
    """Stages of units; the first unit of every stage but the first halves the map."""
    units: list[Unit] = []
    c = widths[0]
    for d in widths:
        for _ in range(units_per_stage):
            units.append(Unit(c, d, stride=1 if c == d else 2))
            c = d
    return units
