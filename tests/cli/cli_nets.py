"""One tiny binary network as an .onnx file, with names of the test's choice, and ways to run the command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import click.testing
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from r2b_edge.cli import main

COMMAND = Path(sys.executable).with_name("r2b-edge")
CHANNELS = 8
CLASSES = 5
SHAPE = (1, 3, 8, 8)


class Names:
    """Names for nodes and tensors; `awkward` is worked into each of them, and a number keeps them apart."""

    def __init__(self, awkward: str = "") -> None:
        self._awkward = awkward
        self._numbers = count()

    def __call__(self, plain: str) -> str:
        return f"{plain}{self._awkward}_{next(self._numbers)}"


def binary_net(
    names: Names | None = None,
    binary: bool = True,
    batch: int | str = 1,
    channels: int = CHANNELS,
) -> onnx.ModelProto:
    """Stem, BatchNorm, sign, 3x3 conv with weights of +-alpha, PReLU, skip, mean, Gemm: [1, 3, 8, 8] -> [1, 5].

    Args:
        names: gives every node and tensor its name; None: plain ones.
        binary: False leaves the sign before the conv out, so that no layer is binary.
        batch: the input's batch axis.
        channels: of the maps.
    """
    name = names or Names()
    random = np.random.default_rng(1)
    initializers: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []

    def constant(plain: str, value: Any) -> str:
        made = name(plain)
        initializers.append(numpy_helper.from_array(np.asarray(value, np.float32), made))
        return made

    def op(kind: str, *inputs: str, **attributes: Any) -> str:
        made = name(f"{kind.lower()}_out")
        nodes.append(helper.make_node(kind, inputs, [made], name(kind.lower()), **attributes))
        return made

    def normal(*shape: int) -> Any:
        return random.normal(size=shape)

    x, c = name("x"), channels
    gamma = random.uniform(0.5, 1.5, c) * random.choice([-1, 1], c)
    stem = op("Conv", x, constant("stem.weight", normal(c, 3, 3, 3) / 99), pads=[1, 1, 1, 1])
    norm = op(
        "BatchNormalization", stem, constant("gamma", gamma), constant("beta", normal(c) / 4),
        constant("mean", normal(c) / 4), constant("var", random.uniform(0.5, 2, c)),
    )  # fmt: skip
    if binary:
        positive = op("GreaterOrEqual", norm, constant("zero", 0.0))
        norm = op("Where", positive, constant("one", 1.0), constant("minus", -1.0))
    alpha = random.uniform(0.05, 0.2, (c, 1, 1, 1))
    weight = constant("conv.weight", alpha * random.choice([-1, 1], (c, c, 3, 3)))
    conv = op("Conv", norm, weight, pads=[1, 1, 1, 1])
    slope = constant("slope", random.uniform(0, 0.5, (c, 1, 1)))
    y = op("Add", op("PRelu", conv, slope), stem)
    pooled = op("Flatten", op("GlobalAveragePool", y))
    fc = constant("fc.weight", normal(CLASSES, c))
    out = op("Gemm", pooled, fc, constant("fc.bias", normal(CLASSES)), transB=1)

    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, (batch, *SHAPE[1:]))],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, (batch, CLASSES))],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def save(model: onnx.ModelProto, path: Path) -> Path:
    """Write the model as it is, valid or not."""
    path.write_bytes(model.SerializeToString())
    return path


def run(*arguments: object) -> click.testing.Result:
    """The command in this process: exit code, stdout and stderr apart."""
    return click.testing.CliRunner().invoke(main, [str(argument) for argument in arguments])


def spawn(
    *arguments: object, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    return subprocess.run(
        [COMMAND, *(str(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=None if env is None else {**os.environ, **env},
        cwd=cwd,
    )


STAGES = (
    "exporting to ONNX",
    "finding the binary layers",
    "writing model.tflite",
    "writing c/",
    "building for ",
    "writing the report",
)


def fault(result: click.testing.Result | subprocess.CompletedProcess[str]) -> str:
    """What the command said went wrong: exactly one line on stderr beside the progress, and no traceback."""
    lines = [line for line in result.stderr.splitlines() if line and not line.startswith(STAGES)]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("r2b-edge: "), result.stderr
    assert lines[0].isprintable()
    return lines[0].removeprefix("r2b-edge: ")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, by its relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def tampered_buffer(file: Path, tensor: str) -> None:
    """Invert the top bit of the first word (the sign of a float, a bit of bits) of one constant of a .tflite file.

    Args:
        file: changed in place.
        tensor: a pattern that exactly one tensor's name matches.
    """
    from ai_edge_litert import schema_py_generated as schema

    data = bytearray(file.read_bytes())
    model = schema.Model.GetRootAs(bytes(data))
    graph = model.Subgraphs(0)
    tensors = [graph.Tensors(i) for i in range(graph.TensorsLength())]
    (found,) = [t for t in tensors if re.fullmatch(tensor, t.Name().decode())]
    content = model.Buffers(found.Buffer()).DataAsNumpy().tobytes()
    assert data.count(content) == 1
    byte = data.index(content) + (0 if tensor.endswith("filter") else 3)
    data[byte] ^= 0x01 if tensor.endswith("filter") else 0x80
    file.write_bytes(data)
