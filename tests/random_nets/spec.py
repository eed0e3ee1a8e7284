"""A whole binary network in a few numbers: what is drawn, shrunk, and kept as a regression case.

Any sequence of blocks is a network: `blocks.py` fits what a block asks for to the tensor that it meets, so that blocks
can be drawn, dropped and changed one by one. All defaults are the simplest choice: shrinking goes towards them.

A new kind of block costs a class here, a builder in `blocks.py` and a strategy in `strategy.py`.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]

KINDS: dict[str, type[Block]] = {}


@dataclasses.dataclass(frozen=True)
class Block:
    """One layer, or a few that belong together; it reads the current tensor and writes the next one."""

    def __init_subclass__(cls) -> None:
        KINDS[cls.__name__] = cls


@dataclasses.dataclass(frozen=True)
class Windowed(Block):
    """Geometry in the order of ONNX. What does not fit into the map is made smaller."""

    kernel: Pair = (1, 1)
    strides: Pair = (1, 1)
    dilations: Pair = (1, 1)
    pads: Pads = (0, 0, 0, 0)


@dataclasses.dataclass(frozen=True)
class Binary(Windowed):
    """Sign, and a convolution (or, of a vector, a dense layer) with binary weights.

    Args:
        channels: of the output; rounded up to a multiple of the groups.
        groups: shrunk to a divisor of the input channels; 0: one a channel.
        sign: a key of signs.FORMS.
        estimator: a key of signs.ESTIMATORS.
        shift: a learned offset before the sign.
        gain: the two levels are multiplied by it.
        pool: a MaxPool, 2x2 with stride 1, between the two.
        border: in bits, what the padding holds: -1, 0 or 1; or something else.
        pad_node: pad by a Pad node, even with zeros.
        alpha: "", "weights" (in the weights), "mul" (a Mul behind, either sign), "shared" (one for all channels).
        dead: the weights of a channel are all 0.
        bias: of the convolution.
    """

    channels: int = 1
    groups: int = 1
    sign: str = "where"
    estimator: str = ""
    shift: bool = False
    gain: float = 1.0
    pool: bool = False
    border: float = 0.0
    pad_node: bool = False
    alpha: str = ""
    dead: bool = False
    bias: bool = False


@dataclasses.dataclass(frozen=True)
class Float(Windowed):
    """A convolution, or a dense layer of a vector, in float32."""

    channels: int = 1
    groups: int = 1
    bias: bool = False


@dataclasses.dataclass(frozen=True)
class Norm(Block):
    """BatchNormalization with gammas of both signs; `zeros`: some gammas are 0."""

    zeros: bool = False


@dataclasses.dataclass(frozen=True)
class Affine(Block):
    """A learned scale or shift: "Add", "Sub", "from" (constant - x), "Mul" or "Div".

    It has a value for each channel; with `shared` one for all, with `places` one for each place of the map.
    """

    kind: str = "Add"
    shared: bool = False
    places: bool = False


@dataclasses.dataclass(frozen=True)
class Activation(Block):
    """A function of one number: a key of functions.FUNCTIONS. Slopes are of any sign and size."""

    kind: str = "Relu"
    shared: bool = False


@dataclasses.dataclass(frozen=True)
class Pool(Windowed):
    """ "MaxPool" or "AveragePool"; of the latter, `count` counts the border. `ceil`: a last window may be cut off."""

    kind: str = "MaxPool"
    count: bool = False
    ceil: bool = False


@dataclasses.dataclass(frozen=True)
class Skip(Block):
    """Add ("Mul", "Sub", "Max", "Min") the latest earlier tensor of the same shape, at least `back` tensors ago.

    With `project`, the tensor `back` ago is brought to this shape by a real 1x1 convolution, if strides can do it.
    """

    kind: str = "Add"
    back: int = 1
    project: bool = False


@dataclasses.dataclass(frozen=True)
class Gate(Block):
    """Global mean of the tensor `back` ago, dense, ReLU, dense, sigmoid, and times the current one.

    Args:
        hidden: channels between the dense layers; 0: there is one dense layer only.
        conv: 1x1 convolutions take the place of dense layers.
        scaled: the gate is multiplied by a constant for each channel.
    """

    back: int = 0
    hidden: int = 0
    conv: bool = False
    scaled: bool = False


@dataclasses.dataclass(frozen=True)
class Concat(Block):
    """Concatenate the latest earlier tensor of the same size, at least `back` ago, before or behind the current one."""

    back: int = 1
    before: bool = False


@dataclasses.dataclass(frozen=True)
class Slice(Block):
    """Some of the channels: `count` from `start` on, every `step`-th; at least one. `split`: by a Split."""

    start: int = 0
    count: int = 1
    step: int = 1
    split: bool = False


@dataclasses.dataclass(frozen=True)
class Shuffle(Block):
    """ShuffleNet's channel shuffle: Reshape, Transpose, Reshape."""

    groups: int = 2


@dataclasses.dataclass(frozen=True)
class Border(Block):
    """A Pad of its own: "constant" (with `value`), "reflect" or "edge"; negative pads crop."""

    pads: Pads = (0, 0, 0, 0)
    mode: str = "constant"
    value: float = 0.0


@dataclasses.dataclass(frozen=True)
class Mean(Block):
    """Global mean over the map: "GlobalAveragePool" and Flatten, or "ReduceMean"."""

    kind: str = "GlobalAveragePool"


@dataclasses.dataclass(frozen=True)
class Flat(Block):
    """Flatten and a dense layer, in float32 or binary."""

    channels: int = 1
    binary: bool = False


@dataclasses.dataclass(frozen=True)
class Output(Block):
    """The current tensor is an output of the network too; `head`: a mean and a dense layer of it."""

    head: bool = False


@dataclasses.dataclass(frozen=True)
class Input(Block):
    """Add a further input of the network."""


@dataclasses.dataclass(frozen=True)
class Net:
    """The network.

    Args:
        seed: of all constants.
        shape: of the input: (C, H, W), (C, L) or (C,).
        exact: all constants and samples are small integers and powers of two, so that nothing is rounded and sums hit
            thresholds.
        blocks: in order.
        half: the C program stores float weights in half precision.
        uint8: it takes its inputs as bytes.
        quantised: its float layers compute in 8-bit integers, as far as they can; calibrated on the samples.
    """

    seed: int = 0
    shape: tuple[int, ...] = (1, 1, 1)
    exact: bool = False
    blocks: tuple[Block, ...] = (Binary(),)
    half: bool = False
    uint8: bool = False
    quantised: bool = False

    def to_json(self) -> str:
        """As text, one line a block."""
        head = {n: v for n, v in dataclasses.asdict(self).items() if n != "blocks"}
        lines = [
            json.dumps({"kind_of_block": type(b).__name__, **dataclasses.asdict(b)})
            for b in self.blocks
        ]
        return json.dumps(head)[:-1] + ', "blocks": [\n  ' + ",\n  ".join(lines) + "\n]}\n"


def from_json(text: str) -> Net:
    """Undo Net.to_json."""
    data = json.loads(text, object_pairs_hook=_tuples)
    blocks = tuple(KINDS[b.pop("kind_of_block")](**b) for b in data.pop("blocks"))
    return Net(blocks=blocks, **data)


def _tuples(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in pairs}
