"""Real-to-Binary ResNet-18 at 224x224 with seeded weights, and the float network of the same shape beside it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import r2b_edge
from examples.nets import R2BNet, r2b_resnet18, randomize
from r2b_edge.errors import MismatchError
from r2b_edge.exporters.tflite.convert import convert
from r2b_edge.frontend import module_to_onnx
from r2b_edge.graph.graph import Array
from r2b_edge.pipeline import graph_of
from r2b_edge.report import Report

SHAPE = (1, 3, 224, 224)
SAMPLE: Array = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.float32)
"""What every executor is shown: pixels, NCHW."""


def module() -> R2BNet:
    """The binary network."""
    return randomize(r2b_resnet18(), seed=0)


def checked(target: str, out: Path) -> Report:
    """Export it to `out` and check it there: the report with its instructions.

    Raises:
        R2BError: an export or a check that fails, or is not exact.
    """
    r2b_edge.export(module(), (torch.from_numpy(SAMPLE),), target=target, out=out)
    result = r2b_edge.check(out, samples=SAMPLE)
    if fault := r2b_edge.fault_of(result):
        raise MismatchError(fault)
    return result


@dataclass(frozen=True)
class FloatTwin:
    """The network that the paper starts from: ReLU in the place of each sign, real weights, all else the same.

    Attributes:
        onnx: the file's bytes.
        tflite: the file's bytes; BatchNorms are folded into convolutions where they follow one, and ReLUs of dense
            layers fused.
    """

    onnx: bytes
    tflite: bytes

    @classmethod
    def make(cls) -> FloatTwin:
        """With seeded weights."""
        net = module()
        net.set_stage("relu", "real")
        with tempfile.TemporaryDirectory(prefix="r2b-twin-") as folder:
            path = Path(folder, "float.onnx")
            module_to_onnx(net, (torch.from_numpy(SAMPLE),), path)
            return cls(path.read_bytes(), convert(graph_of(path, "float")).data)
