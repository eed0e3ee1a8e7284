"""A spec becomes an ONNX model: the state of the construction, and what all builders of blocks share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from r2b_edge.frontend.reference import session
from tests.graph.small_onnx import Net as Onnx

from .spec import Block, Net, Windowed

Floats = NDArray[np.float32]
Values = dict[str, Any]
B = TypeVar("B", bound=Block)
BUILDERS: dict[type[Block], Callable[[Maker, Any], None]] = {}


def builds(kind: type[B]) -> Callable[[Callable[[Maker, B], None]], Callable[[Maker, B], None]]:
    """Register the builder of a kind of block."""

    def register(function: Callable[[Maker, B], None]) -> Callable[[Maker, B], None]:
        BUILDERS[kind] = function
        return function

    return register


@dataclass(frozen=True)
class Tensor:
    """A float tensor of the network under construction; its shape is without the batch: (C, H, W), (C, L) or (C,)."""

    name: str
    shape: tuple[int, ...]

    @property
    def channels(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> tuple[int, ...]:
        return self.shape[1:]

    @property
    def is_map(self) -> bool:
        return len(self.shape) > 1


@dataclass(frozen=True)
class Built:
    """A model and its samples.

    Args:
        model: the ONNX model.
        samples: inputs by name.
        exact: nothing in it is rounded.
    """

    model: onnx.ModelProto
    samples: list[Values]
    exact: bool


def build(spec: Net, samples: int = 2) -> Built:
    """The same spec gives the same model and samples."""
    from . import blocks, functions, moving  # noqa: F401  (fill BUILDERS)

    maker = Maker(spec)
    for index, block in enumerate(spec.blocks):
        maker.random = np.random.default_rng([spec.seed, index])
        BUILDERS[type(block)](maker, block)
    model = maker.net.model(*dict.fromkeys([*maker.outputs, maker.x.name]))
    return Built(model, [maker.sample(i) for i in range(samples)], not maker.rounds)


def save(built: Built, path: Path) -> Path:
    """Write the model as the front end would."""
    path.write_bytes(built.model.SerializeToString(deterministic=True))
    return path


class Maker:
    """An ONNX model under construction.

    Attributes:
        net: the ONNX nodes so far.
        x: the current tensor.
        history: all tensors that a skip or a gate can take, the current one last.
        random: of the current block's constants, so that they stay when another block is dropped.
        rounds: something in the network is rounded.
    """

    def __init__(self, spec: Net) -> None:
        self.seed = spec.seed
        self.net = Onnx((1, *spec.shape))
        self.exact = spec.exact
        self.rounds = not spec.exact
        self.uint8 = spec.uint8
        self.inputs = {"x": spec.shape}
        self.outputs: list[str] = []
        self.history = [Tensor("x", spec.shape)]
        self.random = np.random.default_rng(spec.seed)

    @property
    def x(self) -> Tensor:
        return self.history[-1]

    def put(self, name: str, shape: tuple[int, ...] | None = None) -> None:
        """The next current tensor, by default of the same shape."""
        self.history.append(Tensor(name, self.x.shape if shape is None else shape))

    def ago(self, back: int) -> Tensor:
        """The tensor `back` before the current one, or the first one."""
        return self.history[max(0, len(self.history) - 1 - back)]

    def earlier(self, back: int, fits: Callable[[Tensor], bool]) -> Tensor | None:
        """The latest fitting tensor at least `back` (1 or more) before the current one."""
        others = self.history[: max(0, len(self.history) - back)]
        return next((t for t in reversed(others) if fits(t)), None)

    def another_input(self, shape: tuple[int, ...]) -> str:
        name = f"x{len(self.inputs)}"
        info = helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, *shape))
        self.net.inputs.append(info)
        self.inputs[name] = shape
        return name

    def sample(self, index: int) -> Values:
        """Inputs: integers, zeros among them, so that thresholds are hit; or real numbers with some of these.

        Bytes are few of the least ones in an exact network.
        """
        values = {}
        for k, (name, shape) in enumerate(self.inputs.items()):
            random = np.random.default_rng([self.seed, index, k])
            whole = random.integers(-4, 5, size=(1, *shape)).astype(np.float32)
            real = random.normal(size=whole.shape, scale=2.0).astype(np.float32)
            mixed = np.where(random.random(whole.shape) < 0.1, whole, real)
            values[name] = whole if self.exact else mixed
            if self.uint8:
                most = 9 if self.exact else 64
                values[name] = random.integers(0, most, whole.shape).astype(np.float32)
        return values

    def magnitude(self, name: str) -> float:
        """The largest value that a tensor takes on the first sample."""
        sample = self.sample(0)
        if name in sample:
            return float(np.abs(sample[name]).max())
        (value,) = session(self.net.model(name)).run(None, sample)
        return float(np.abs(value).max())

    def shrunk(self, name: str) -> float:
        """A power of two that brings a tensor to the range in which a sigmoid has not come to its ends."""
        return 2.0 ** -max(0, math.ceil(math.log2(self.magnitude(name) / 4 + 1e-9)))

    # Constants. Those of an exact network are integers and powers of two.

    def signs(self, *shape: int) -> Floats:
        return 2 * self.random.integers(0, 2, shape).astype(np.float32) - 1

    def offsets(self, *shape: int) -> Floats:
        """Never 0 in a network that rounds."""
        if self.exact:
            grain = 2.0 ** self.random.integers(0, 4)
            return (self.random.integers(-3, 4, shape) * grain).astype(np.float32)
        return (self.signs(*shape) * self.random.uniform(0.05, 1.5, shape)).astype(np.float32)

    def scales(self, *shape: int) -> Floats:
        """Of either sign, never 0."""
        if self.exact:
            return (self.signs(*shape) * 2.0 ** self.random.integers(-1, 2, shape)).astype(
                np.float32
            )
        return (self.signs(*shape) * self.random.uniform(0.2, 1.5, shape)).astype(np.float32)

    def reals(self, *shape: int) -> Floats:
        """Weights [O, I, ...] whose sums are about as large as their terms."""
        fan_in = math.prod(shape[1:])
        if self.exact:
            small = 2.0 ** -round(math.log2(fan_in) / 2)
            whole = self.random.integers(-1, 2, shape)
            return (whole * np.float32(small)).astype(np.float32)
        return (self.random.normal(size=shape) / math.sqrt(fan_in)).astype(np.float32)

    def along(self, x: Tensor, values: Floats) -> Floats:
        """Constants [C] or [1] in the shape that broadcasts along the channels of x."""
        return values.reshape(1, -1, *[1] * len(x.size))

    # Geometry.

    def fitted(self, block: Windowed, x: Tensor) -> tuple[dict[str, Any], tuple[int, ...]]:
        """ONNX attributes of a window that fits into a map, and the size of its output. 1-D maps take the last axis."""
        n = len(x.size)
        before, after = block.pads[2 - n : 2], block.pads[4 - n :]
        strides, kernel, dilations, sizes = block.strides[-n:], [], [], []
        for axis, size in enumerate(x.size):
            room = size + before[axis] + after[axis]
            k = min(block.kernel[axis - n], room)
            d = block.dilations[axis - n]
            while (k - 1) * d + 1 > room:
                d -= 1
            kernel.append(k)
            dilations.append(d)
            sizes.append((room - (k - 1) * d - 1) // strides[axis] + 1)
        attributes: dict[str, Any] = {"kernel_shape": kernel, "pads": [*before, *after]}
        if any(s > 1 for s in strides):
            attributes["strides"] = list(strides)
        if any(d > 1 for d in dilations):
            attributes["dilations"] = dilations
        return attributes, tuple(sizes)

    def grouped(self, groups: int, channels: int) -> tuple[int, int]:
        """Groups that divide the current channels, and output channels that they divide."""
        inputs = self.x.channels
        fit = math.gcd(groups or inputs, inputs)
        return fit, -(-channels // fit) * fit
