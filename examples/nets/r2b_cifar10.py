"""A small Real-to-Binary net for CIFAR-10, with the units of Martinez et al., ICLR 2020."""

from __future__ import annotations

from torch import nn

from examples.nets.blocks import Normalize, R2BNet, make_units

MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2470, 0.2435, 0.2616)


def r2b_cifar10(width: int = 64, num_classes: int = 10) -> R2BNet:
    """[n, 3, 32, 32] pixels 0..255 -> [n, num_classes] logits.

    Stem to [n, width, 16, 16]; three stages of four units: width at 16x16, 2 width at 8x8,
    4 width at 4x4. `width` is a multiple of 8 (the gates squeeze by 8).
    """
    if width <= 0 or width % 8:
        raise ValueError(f"width must be a positive multiple of 8, got {width}")
    stem = nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.PReLU(width),
    )
    widths = (width, 2 * width, 4 * width)
    return R2BNet(Normalize(MEAN, STD), stem, make_units(widths), 4 * width, num_classes)
