"""The table of networks: how each is made, what it takes, and how many of its layers are binary by construction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn

from . import cifar, dense_skip, geometry, more, not_binary, residual, vgg

Shapes = tuple[tuple[int, ...], ...]


def one(*shape: int) -> Shapes:
    """A single input of this shape, batch 1."""
    return ((1, *shape),)


IMAGE = one(3, 16, 16)


@dataclass(frozen=True)
class Net:
    """One network.

    Args:
        make: its constructor.
        binary: layers whose weights and input are both binary, counted in its source.
        inputs: the shapes of its inputs, batch 1.
        why: by layer, words of the reason why it is not binary.
        layers: names of binary layers, as its source has them.
    """

    make: Callable[[], nn.Module]
    binary: int
    inputs: Shapes = IMAGE
    why: Mapping[str, str] = field(default_factory=dict)
    layers: tuple[str, ...] = ()


TWO_BIT = "takes 4 values: 2-bit activation"

NETS: dict[str, Net] = {
    "bnn-vgg": Net(vgg.BinaryNet, 6),
    "xnor-net": Net(vgg.XnorNet, 3),
    "xnor-nin": Net(vgg.NetworkInNetwork, 4),
    "xnor-net++": Net(vgg.XnorPlusPlus, 3),
    "bi-real": Net(lambda: residual.ResNet(residual.BiRealBlock), 3, one(3, 32, 32)),
    "strong-baseline": Net(lambda: residual.RealToBinary("real", gated=False), 3),
    "strong-baseline-binary-down": Net(lambda: residual.RealToBinary("binary", gated=False), 4),
    "real-to-binary": Net(lambda: residual.RealToBinary("real", gated=True), 3),
    "real-to-binary-binary-down": Net(lambda: residual.RealToBinary("binary", gated=True), 4),
    "ci-net": Net(residual.CiNet, 2),
    "reactnet-r18": Net(
        lambda: residual.ResNet(residual.ReActBlock),
        3,
        one(3, 32, 32),
        layers=("blocks.0.conv", "blocks.1.conv", "blocks.2.conv"),
    ),
    "reactnet-a": Net(residual.ReActNetA, 8),
    "ir-net": Net(cifar.ir_net, 6),
    "recu": Net(cifar.recu, 6),
    "bnn-package-style": Net(cifar.BnnResNet, 5, one(3, 32, 32)),
    "bnn-dabnn-stem": Net(lambda: cifar.BnnResNet(dabnn_stem=True), 8, one(3, 32, 32)),
    "quicknet": Net(dense_skip.QuickNet, 4),
    "resnet-e": Net(dense_skip.ResNetE, 4, one(3, 15, 15)),
    "binary-densenet": Net(lambda: dense_skip.BinaryDenseNet(improve=False), 4),
    "meliusnet": Net(lambda: dense_skip.BinaryDenseNet(improve=True), 8),
    "brevitas-vgg": Net(vgg.BrevitasVgg, 5, one(3, 20, 20)),
    "bnext": Net(cifar.BNext, 5),
    "shufflenet": Net(more.ShuffleNet, 6),
    "pokebnn": Net(more.PokeBnn, 6),
    "bats": Net(more.Bats, 8),
    "two-streams": Net(more.TwoStreams, 2, (*IMAGE, (1, 6))),
    "ttq": Net(
        not_binary.Ttq, 0, why={"stem": "input is real", "convs.0": "ternary", "convs.1": "ternary"}
    ),
    "two-bit": Net(not_binary.TwoBit, 0, why=dict.fromkeys(("convs.0", "convs.1"), TWO_BIT)),
    "few-levels": Net(
        not_binary.FewLevels,
        1,
        why={
            "ternary": "ternary",
            "two_sided": "two values",
            "two_bit": TWO_BIT,
            "real": "use --binarize-weights",
        },
    ),
    "mlp": Net(geometry.Mlp, 2, one(49)),
    "mlp-of-image": Net(geometry.Mlp, 2, one(1, 7, 7)),
    "flattened-map": Net(geometry.FlattenedMap, 3, one(1, 16, 16)),
    "audio-1d": Net(geometry.Audio1d, 2, one(10, 40)),
    "sensor-1d": Net(geometry.Sensor1d, 2, one(3, 64)),
    "grouped": Net(geometry.grouped, 4, one(3, 9, 9)),
    "dilated": Net(geometry.dilated, 3, one(3, 12, 12)),
    "large-kernels": Net(geometry.large_kernels, 3, one(3, 12, 12)),
    "rectangular": Net(geometry.rectangular, 4, one(3, 10, 12)),
    "odd-channels": Net(geometry.odd_channels, 5, one(3, 9, 9)),
    "1x1-maps": Net(geometry.TinyMaps, 4, one(3, 8, 8)),
}
