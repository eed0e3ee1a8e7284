"""Reference networks: plain PyTorch, no dependency on r2b_edge."""

from examples.nets.blocks import (
    Activation,
    BinaryActivation,
    BinaryConv2d,
    Downsample,
    Gate,
    Normalize,
    R2BNet,
    Unit,
    Weights,
    binarize,
    make_units,
)
from examples.nets.r2b_cifar10 import r2b_cifar10
from examples.nets.r2b_digits import r2b_digits
from examples.nets.r2b_resnet18 import r2b_resnet18
from examples.nets.random_weights import randomize

__all__ = [
    "Activation",
    "BinaryActivation",
    "BinaryConv2d",
    "Downsample",
    "Gate",
    "Normalize",
    "R2BNet",
    "Unit",
    "Weights",
    "binarize",
    "make_units",
    "r2b_cifar10",
    "r2b_digits",
    "r2b_resnet18",
    "randomize",
]
