"""What `inspect` tells, schema 1: the document that `r2b-edge inspect --json` prints.

Units are in the names: `_bytes` are bytes, `macs` multiply-accumulates of one inference of one sample. What is not
known is None, never 0.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import Field

from r2b_edge.report.model import Count, Shape, Strict, TensorInfo, Tool

SCHEMA: Literal[1] = 1

Verdict = Literal["binary", "binary weights", "float", "unsupported"]
Level = Literal["+1", "-1", "0", "mixed"]


class Source(Strict):
    """The model that was inspected. `file` is a name without a folder; `form` is what it was told to be."""

    file: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    form: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


class Samples(Strict):
    """What was run: `seeded` random inputs or the user's own. `count` is 0 where there was nothing to run them for."""

    count: Count
    seeded: bool


class Window(Strict):
    """Where a convolution looks: kernel, strides and dilations by spatial axis; pads at all begins, then all ends."""

    kernel: Shape
    strides: Shape
    pads: Shape
    dilations: Shape
    groups: Count


class Zeros(Strict):
    """The values before the sign that makes a layer's input, on the samples.

    Args:
        values: how many there were.
        at_threshold: how many lay exactly at the threshold; for a plain sign: were exactly 0.
        model_gives: what the model makes of those (its higher level is +1, its lower one -1, between them is 0);
            None where there were none.
        differ: how many the model gives neither of two levels, and the export +1.
    """

    values: Count
    at_threshold: Count
    model_gives: Level | None
    differ: Count


class Becomes(Strict):
    """What a part of the network becomes.

    Args:
        tflite: operators of model.tflite; empty: fused into another part's. None: it cannot be written.
        c: kernel of the C runtime; "epilogue": fused into another part's. None: no kernel computes it.
    """

    tflite: tuple[str, ...] | None
    c: str | None


class Layer(Strict):
    """A Conv, ConvTranspose, Gemm or MatMul of the model, in execution order.

    Args:
        name: of the ONNX node, which is that of the PyTorch module where it is known.
        op: the ONNX op.
        verdict: `unsupported` is an op that cannot be imported.
        reason: why it is not binary; None for a binary layer.
        suspect: it is float although its input is binary: probably meant to be binary.
        note: what to know of a binary layer.
        input_values: how many values its input takes; None: many, or not known.
        border: what the padding holds, in the unit of its input; None without padding.
        weights: how many; None where they are no constant.
        zero_weights: how many are exactly 0 in channels that are not all 0; None where it was not counted.
        weights_kind: what each output channel's weights are; None where it is not known.
        weights_float32_bytes: its weights in float32, without the bias.
        weights_stored_bytes: its weights in the C runtime, without the bias.
    """

    name: str
    op: str
    verdict: Verdict
    reason: str | None
    suspect: bool
    note: str | None
    input_shape: Shape | None
    output_shape: Shape | None
    window: Window | None
    input_values: Count | None
    border: float | None
    weights: Count | None
    weights_kind: str | None
    zero_weights: Count | None
    zeros: Zeros | None
    macs: Count | None
    weights_float32_bytes: Count | None
    weights_stored_bytes: Count | None
    becomes: Becomes


class Part(Strict):
    """All parts of the network of one kind that become the same, and how many they are.

    `kind` is the op of the graph, such as BinaryConv, Step or ChannelAffine.
    """

    kind: str
    count: Count
    becomes: Becomes


class Unsupported(Strict):
    """What stands in the way of an export.

    Args:
        name: of the node, the input, the output, or the whole model.
        op: ONNX op type, or the op of the graph.
        stage: where it is refused.
        reason: why.
    """

    name: str
    op: str
    stage: Literal["import", "graph", "tflite", "c"]
    reason: str


class Totals(Strict):
    """Sums over the layers; a layer whose figure is not known is left out.

    The last three are of the whole network, with scales, BatchNorm and thresholds; None where it cannot be exported.
    """

    layers: Count
    binary_layers: Count
    macs: Count
    binary_macs: Count
    weights: Count
    binary_weights: Count
    float32_bytes: Count
    c_bytes: Count | None
    tflite_bytes: Count | None


class Inspection(Strict):
    """All that is known about a model before it is exported; see the module's docstring.

    `target` is None where kernels of the family `portable` are named.
    """

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    tool: Tool
    model: Source
    target: str | None
    samples: Samples
    layers: tuple[Layer, ...]
    parts: tuple[Part, ...]
    unsupported: tuple[Unsupported, ...]
    totals: Totals
    notes: tuple[str, ...] = ()

    @property
    def exportable(self) -> bool:
        """An export would not be refused: something is binary, and nothing stands in the way."""
        return self.totals.binary_layers > 0 and not self.unsupported

    def to_json(self) -> str:
        """The document: keys in declared order, ASCII only, the same for the same inspection."""
        data = self.model_dump(mode="json", by_alias=True)
        return json.dumps(data, indent=2, allow_nan=False) + "\n"
