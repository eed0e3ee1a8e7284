# mypy: disable-error-code="no-any-return"
# To mypy, a call of an nn.Module gives Any.

"""Networks built with other people's packages, where they are installed (the extra `third-party`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from r2b_edge.checking.executor import GraphExecutor

from .executors import Compiler, canonical_of_file, check, faults, verdict_of
from .parts import trained
from .table import Net, one


def bnn_converted(net: nn.Module, real: list[str], scale: bool, center: bool) -> nn.Module:
    """All convolutions but the `real` ones, made binary by the `prepare_binary_model` of `bnn`."""
    bnn, ops = pytest.importorskip("bnn"), pytest.importorskip("bnn.ops")
    config = bnn.BConfig(
        activation_pre_process=ops.BasicInputBinarizer,
        activation_post_process=ops.BasicScaleBinarizer if scale else bnn.Identity,
        weight_pre_process=ops.XNORWeightBinarizer.with_args(center_weights=center),
    )
    custom = {name: bnn.BConfig() for name in real}
    return bnn.prepare_binary_model(net, config, custom_config_layers_name=custom)


def bnn_resnet(block: str, activation: type[nn.Module], scale: bool, center: bool) -> nn.Module:
    """A small ResNet of bnn's blocks."""
    layers = pytest.importorskip("bnn.models.layers")
    make = partial(getattr(layers, block), norm_layer=nn.BatchNorm2d, activation=activation)
    down = nn.Sequential(
        nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False),
        nn.Conv2d(16, 32, 1, bias=False), nn.BatchNorm2d(32),
    )  # fmt: skip
    net = nn.Sequential()
    net.conv1 = nn.Conv2d(3, 16, 7, 2, 3, bias=False)
    net.bn1, net.pool = nn.BatchNorm2d(16), nn.MaxPool2d(3, 2, 1)
    net.layer1, net.layer2 = make(16, 16), make(16, 32, 2, down)
    net.mean, net.flat, net.fc = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)
    return bnn_converted(net, ["conv1", "fc"], scale, center)


class Bats(nn.Module):
    """bnn's own BATS network, with a small genotype."""

    def __init__(self) -> None:
        super().__init__()
        bats = pytest.importorskip("bnn.models.bats")
        genotype = pytest.importorskip("bnn.models.layers.bats_ops").Genotype(
            normal=[("dil_conv_3x3", 0), ("sep_conv_3x3", 1), ("skip_connect", 0), ("max_pool_3x3", 1)],
            normal_concat=[2, 3],
            reduce=[("sep_conv_5x5", 0), ("avg_pool_3x3", 1), ("dil_conv_5x5", 2), ("skip_connect", 1)],
            reduce_concat=[2, 3],
        )  # fmt: skip
        net = bats.BATSNetworkCIFAR(12, 10, 3, False, genotype, groups=4)
        net.drop_path_prob = 0.0
        self.net = bnn_converted(net, ["stem.0", "classifier"], scale=True, center=True)

    def forward(self, x: Tensor) -> Tensor:
        logits, _ = self.net(x)
        return logits


def brevitas_cnv() -> nn.Module:
    """The CNV of Brevitas' examples in a quarter of its width: 1-bit weights and activations, 8-bit input."""
    module = pytest.importorskip("brevitas_examples.bnn_pynq.models.CNV")
    with pytest.MonkeyPatch.context() as patch:
        convs = [(16, False), (16, True), (32, False), (32, True), (64, False), (64, False)]
        patch.setattr(module, "CNV_OUT_CH_POOL", convs)
        patch.setattr(module, "INTERMEDIATE_FC_FEATURES", [(64, 64), (64, 64)])
        patch.setattr(module, "LAST_FC_IN_FEATURES", 64)
        return module.CNV(10, weight_bit_width=1, act_bit_width=1, in_bit_width=8, in_ch=3)


def binary_layers(net: nn.Module) -> int:
    """By construction: bnn's layers that binarise; Brevitas' 1-bit layers but the first, whose input has 8 bits."""

    def binarises(m: Any) -> bool:
        return type(m).__module__.startswith("bnn.layers") and not isinstance(
            m.weight_pre_process, nn.Identity
        )

    modules = list(net.modules())
    brevitas = [m for m in modules if type(m).__name__ in ("QuantConv2d", "QuantLinear")]
    return sum(binarises(m) for m in modules) + len(brevitas[1:])


NETS: dict[str, tuple[str, Callable[[], nn.Module], int]] = {
    # The package, a constructor, height and width of the image.
    "bnn-resnet": ("bnn", lambda: bnn_resnet("BasicBlock", nn.ReLU, True, True), 32),
    "bnn-resnet-prelu": ("bnn", lambda: bnn_resnet("BasicBlock", nn.PReLU, False, False), 31),
    "bnn-preact": ("bnn", lambda: bnn_resnet("PreBasicBlock", nn.PReLU, True, False), 32),
    "bnn-bats": ("bnn", Bats, 16),
    "brevitas-cnv": ("brevitas", brevitas_cnv, 32),
}


@pytest.mark.parametrize("name", NETS)
def test_network(
    name: str,
    compilers: dict[str, Compiler],
    require_lce: None,
    tmp_path: Path,
    row: Callable[..., None],
) -> None:
    package, make, size = NETS[name]
    pytest.importorskip(package)
    binary = binary_layers(make())
    assert binary >= 5
    check(name, Net(make, binary, one(3, size, size)), tmp_path, compilers, row)


def test_qonnx_of_brevitas(tmp_path: Path) -> None:
    """What Brevitas exports itself holds its quantisers as operators of its own."""
    for package in ("onnxoptimizer", "qonnx"):
        pytest.importorskip(package)
    export = pytest.importorskip("brevitas.export").export_qonnx
    module = trained(brevitas_cnv(), one(3, 32, 32))
    export(module, torch.zeros(1, 3, 32, 32), export_path=str(tmp_path / "user.onnx"))
    net = canonical_of_file("qonnx", tmp_path / "user.onnx")
    assert net.binary == binary_layers(module), net.reasons()
    assert faults(verdict_of("graph", GraphExecutor(net.graph), net)) == []
