"""A tiny Real-to-Binary net for 8x8 digits, with the units of Martinez et al., ICLR 2020."""

from __future__ import annotations

from torch import nn

from examples.nets.blocks import Normalize, R2BNet, make_units

MEAN = (0.305,)
STD = (0.376,)


def r2b_digits(width: int = 16, num_classes: int = 10) -> R2BNet:
    """[n, 1, 8, 8] pixels 0..255 -> [n, num_classes] logits.

    Stem to [n, width, 8, 8]; two stages of four units: width at 8x8, 2 width at 4x4. `width` is a
    multiple of 8 (the gates squeeze by 8).
    """
    if width <= 0 or width % 8:
        raise ValueError(f"width must be a positive multiple of 8, got {width}")
    stem = nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width)
    )
    return R2BNet(
        Normalize(MEAN, STD), stem, make_units((width, 2 * width)), 2 * width, num_classes
    )
