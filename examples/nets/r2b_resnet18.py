"""Real-to-Binary ResNet-18 for ImageNet shapes (Martinez et al., ICLR 2020)."""

from __future__ import annotations

from torch import nn

from examples.nets.blocks import Normalize, R2BNet, make_units

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def r2b_resnet18(num_classes: int = 1000) -> R2BNet:
    """[n, 3, 224, 224] pixels 0..255 -> [n, num_classes] logits.

    Stem to [n, 64, 56, 56]; four stages of four units: 64 at 56x56, 128 at 28x28, 256 at 14x14,
    512 at 7x7. Stem, the three downsampling skips, the gates and the classifier stay float.
    """
    stem = nn.Sequential(
        nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    )
    return R2BNet(Normalize(MEAN, STD), stem, make_units((64, 128, 256, 512)), 512, num_classes)
