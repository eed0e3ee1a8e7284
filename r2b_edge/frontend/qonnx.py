"""QONNX's quantizers in onnx's own operators. Runs in the child process.

What Brevitas exports (`export_qonnx`): https://github.com/fastmachinelearning/qonnx, docs/qonnx-custom-ops.

    BipolarQuant(x, scale) = scale * (x >= 0 ? 1 : -1), hence +1 for both zeros

    Quant(x, scale, zeropt, bitwidth), also called IntQuant, with b bits:
        q = round(clip(x / scale + zeropt, least, most))
        y = (q - zeropt) * scale

    signed: least = -2^(b-1), or one more if narrow; most = 2^(b-1) - 1
    unsigned: least = 0; most = 2^b - 1, or one less if narrow
    a signed Quant of 1 bit: q = (x / scale + zeropt >= 0 ? 1 : -1), as QONNX's own executor has it
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.frontend.text import printable

# The second and third are what older versions of Brevitas and FINN write.
DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
_INPUTS = {"BipolarQuant": 2, "Quant": 4, "IntQuant": 4}
MAX_BITS = 32


def in_standard_operators(model: onnx.ModelProto, path: Path, notes: list[str]) -> onnx.ModelProto:
    """The model with each quantizer of QONNX written out; other operators of QONNX stay.

    Args:
        model: without local functions.
        path: for messages.
        notes: told how many there were.

    Raises:
        InputError: a quantizer is damaged.
        UnsupportedError: a bit width that is computed, or a rounding mode that is not known.
    """
    constants = _constants(model.graph)
    nodes: list[onnx.NodeProto] = []
    count = 0
    for node in model.graph.node:
        if node.domain in DOMAINS and node.op_type in _INPUTS:
            nodes += _Writer(node, path, constants).nodes
            count += 1
        else:
            nodes.append(node)
    if not count:
        return model
    written = onnx.ModelProto()
    written.CopyFrom(model)
    del written.graph.node[:]
    written.graph.node.extend(nodes)
    notes.append(f"QONNX quantizers written in onnx's own operators: {count}")
    return written


def _constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
            for attribute in node.attribute:
                if attribute.name == "value":
                    found[node.output[0]] = attribute.t
    return found


class _Writer:
    """The nodes that do what one quantizer does. They are named after its output, which is unique."""

    def __init__(
        self, node: onnx.NodeProto, path: Path, constants: dict[str, onnx.TensorProto]
    ) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._node = node
        self._constants = constants
        shown = node.name or next(iter(node.output), "")
        self._where = f"{path}: {node.op_type} {printable(shown, 80)!r}"
        wanted = _INPUTS[node.op_type]
        if len(node.input) != wanted or "" in node.input or len(node.output) != 1:
            raise InputError(
                f"{self._where} has {len(node.input)} inputs and {len(node.output)} outputs, not {wanted} and 1"
            )
        if node.op_type == "BipolarQuant":
            x, scale = node.input
            self._op("Mul", self._sign(x), scale, last=True)
        else:
            self._quant()

    def _quant(self) -> None:
        x, scale, zero, _ = self._node.input
        bits = self._bits()
        signed, narrow = self._flag("signed", 1), self._flag("narrow", 0)
        scaled = self._op("Add", self._op("Div", x, scale), zero)
        if bits == 1 and signed:
            whole = self._sign(scaled)
        else:
            least = -(2 ** (bits - 1)) + narrow if signed else 0
            most = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
            clipped = self._op(
                "Clip", scaled, self._constant("least", least), self._constant("most", most)
            )
            whole = self._rounded(clipped)
        self._op("Mul", self._op("Sub", whole, zero), scale, last=True)

    def _sign(self, x: str) -> str:
        positive = self._op("GreaterOrEqual", x, self._constant("zero", 0))
        return self._op("Where", positive, self._constant("one", 1), self._constant("minus", -1))

    def _rounded(self, x: str) -> str:
        mode = self._attribute("rounding_mode", b"ROUND").decode("utf-8", "replace").upper()
        if mode in ("ROUND", "HALF_EVEN"):
            return self._op("Round", x)
        if mode in ("CEIL", "FLOOR"):
            return self._op(mode.capitalize(), x)
        # The others round the magnitude, and the sign is given back.
        size = self._op("Abs", x)
        half = self._constant("half", 0.5)
        if mode == "UP":
            size = self._op("Ceil", size)
        elif mode == "DOWN":
            size = self._op("Floor", size)
        elif mode == "HALF_UP":
            size = self._op("Floor", self._op("Add", size, half))
        elif mode == "HALF_DOWN":
            size = self._op("Ceil", self._op("Sub", size, half))
        else:
            raise UnsupportedError(
                f"{self._where} has the rounding mode {printable(mode, 40)!r}",
                "export it with ROUND, CEIL, FLOOR, UP, DOWN, HALF_UP or HALF_DOWN",
            )
        return self._op("Mul", self._op("Sign", x), size)

    def _bits(self) -> int:
        name = self._node.input[3]
        if name not in self._constants:
            raise UnsupportedError(
                f"{self._where} computes its bit width", "export it with a constant one"
            )
        try:
            bits = float(numpy_helper.to_array(self._constants[name]).item())
        except (
            Exception
        ):  # damaged bytes, several numbers, none, text: onnx and numpy raise what they like
            bits = 0.0
        if not 1 <= bits <= MAX_BITS or bits % 1:
            raise InputError(
                f"{self._where} has a bit width that is not a whole number of 1 to {MAX_BITS}"
            )
        return int(bits)

    def _flag(self, name: str, default: int) -> int:
        value = self._attribute(name, default)
        if value not in (0, 1):
            raise InputError(f"{self._where}: {name} is {printable(str(value), 20)}, not 0 or 1")
        return int(value)

    def _attribute(self, name: str, default: Any) -> Any:
        for attribute in self._node.attribute:
            if attribute.name == name:
                value = helper.get_attribute_value(attribute)
                if type(value) is not type(default):
                    raise InputError(f"{self._where}: {name} is of a wrong type")
                return value
        return default

    def _constant(self, what: str, value: float) -> str:
        name = f"{self._node.output[0]}.{what}"
        if all(name not in node.output for node in self.nodes):
            tensor = numpy_helper.from_array(np.asarray(value, np.float32), name)
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name

    def _op(self, kind: str, *inputs: str, last: bool = False) -> str:
        output = self._node.output[0]
        name = output if last else f"{output}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name))
        return name
