"""How the golden files here were made: `python brevitas_nets.py`, with brevitas 0.13.4, qonnx 1.0.0, torch 2.13."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import brevitas.nn as qnn
import numpy as np
import onnx
import torch
from brevitas.export import export_qonnx
from brevitas.quant import (
    Int8ActPerTensorFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
)
from torch import nn


def bn(channels: int) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(channels)
    nn.init.uniform_(layer.weight, -1, 1)
    nn.init.normal_(layer.bias, 0, 0.3)
    nn.init.normal_(layer.running_mean, 0, 0.3)
    nn.init.uniform_(layer.running_var, 0.5, 2)
    return layer


def bits() -> Any:
    return qnn.QuantIdentity(act_quant=SignedBinaryActPerTensorConst)


def binary() -> nn.Module:
    """BipolarQuant only: one binary convolution, one binary dense layer."""
    weights = SignedBinaryWeightPerTensorConst
    return nn.Sequential(
        nn.Conv2d(3, 4, 1), bn(4), bits(),
        qnn.QuantConv2d(4, 4, 3, bias=False, weight_quant=weights), bn(4), bits(),
        nn.Flatten(), qnn.QuantLinear(64, 3, bias=True, weight_quant=weights),
    )  # fmt: skip


def mixed() -> nn.Module:
    """An 8-bit input, 4-bit weights, a binary convolution, unsigned 2-bit activations, 2-bit weights."""
    weights = SignedBinaryWeightPerTensorConst
    return nn.Sequential(
        qnn.QuantIdentity(bit_width=8, act_quant=Int8ActPerTensorFloat),
        qnn.QuantConv2d(3, 4, 1, bias=False, weight_bit_width=4), bn(4), bits(),
        qnn.QuantConv2d(4, 4, 3, bias=False, weight_quant=weights), bn(4),
        qnn.QuantReLU(bit_width=2), qnn.QuantConv2d(4, 3, 4, bias=False, weight_bit_width=2),
    )  # fmt: skip


def main() -> None:
    folder = Path(__file__).parent
    for make in (binary, mixed):
        torch.manual_seed(0)
        net, file = make(), folder / f"brevitas_{make.__name__}.onnx"
        torch.manual_seed(1)
        for _ in range(3):  # the scales are learned
            net(torch.randn(4, 3, 6, 6))
        net.eval()
        x = torch.randn(1, 3, 6, 6)
        y = net(x)
        y = getattr(y, "value", y).detach()
        export_qonnx(net, args=x, export_path=str(file), dynamo=False)
        onnx.save(onnx.load(file), file)
        np.savez(file.with_suffix(".npz"), x=x.numpy(), y=y.numpy())


if __name__ == "__main__":
    main()
