"""Where a convolution's input gets its bits: through elementwise cones, pools on bits, and scales of them.

A tensor z is binary if z = middle + half * s with s in {-1, +1}. Its bits come from

* a cone that computes one step from a source: a Step on the source (the deepest there is);
* a cone with two values but more than one threshold in a channel: Staircase, then a Step between the two values;
* a MaxPool of a binary tensor: BinaryMaxPool, where half is positive and the window not dilated;
* a Pad below a step, z = f(Pad(x, v)): a Step on x, and readers with a border of f(v): sign(0) = 0 is no bit;
* another MaxPool, Gather, Concat, Reshape or flattening of binary tensors: made in float, and a Step tells two apart;
* a ChannelAffine with one scale for all channels on one of these two, as between a MaxPool and the convolution.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from r2b_edge import ops
from r2b_edge.graph.graph import Graph, Origin, TensorType
from r2b_edge.ops.base import Floats, Op
from r2b_edge.ops.binary import normal_thresholds
from r2b_edge.passes.cone import cones
from r2b_edge.passes.nonnegative import nonnegative
from r2b_edge.passes.probe import LEVEL_TOLERANCE, FoundStep, find_step
from r2b_edge.passes.stairs import FoundStairs

REAL = "its input is real"
BY_CHANNEL = "its input takes two values, but not the same in all channels"
NO_PADS = (0, 0, 0, 0)


@dataclasses.dataclass(frozen=True, eq=False)
class Bits:
    """The bits that stand for z = middle + half * bits, but for a border of z.

    Args:
        tensor: the bits.
        middle: see above.
        half: see above.
        ties: z takes a third value at a threshold, which counts as +1.
        pads: (top, left, bottom, right) that z has around the bits.
        border: what they hold, in z.
    """

    tensor: str
    middle: float
    half: float
    ties: bool
    pads: tuple[int, int, int, int] = NO_PADS
    border: float = 0.0


@dataclasses.dataclass(frozen=True)
class NoBits:
    """Why a tensor is not binary, and how many values it takes; 0 for a real one."""

    reason: str
    values: int = 0


class Binarised:
    """Finds and makes the bits of tensors, each once.

    Args:
        graph: gets the Steps and BinaryMaxPools, each right after what it reads.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._known: dict[str, Bits | NoBits] = {}
        self._whole: dict[str, Bits] = {}

    def of(self, z: str) -> Bits | NoBits:
        """The bits of a tensor, or why it has none."""
        if z not in self._known:
            self._known[z] = self._find(z)
        return self._known[z]

    def whole(self, z: str) -> Bits | NoBits:
        """The bits of a tensor with its border among them, or why it has none."""
        bits = self.of(z)
        if isinstance(bits, NoBits) or bits.pads == NO_PADS:
            return bits
        if not _is_level(bits.border, bits.middle, bits.half):
            return NoBits(f"its input has a border of {bits.border:g} inside of another one", 2)
        if z not in self._whole:
            found = probe(self.graph, z)
            assert isinstance(found, tuple)
            source, step = found
            assert isinstance(step, FoundStep)
            self._whole[z] = self._step(z, source, step)
        return self._whole[z]

    def _find(self, z: str) -> Bits | NoBits:
        found = probe(self.graph, z)
        if not isinstance(found, str):
            source, shape = found
            if isinstance(shape, FoundStep):
                return self._padded(z, source, shape) or self._step(z, source, shape)
            return self._two_levels(z, source, shape)
        return self._moved(z) or NoBits(found)

    def _step(
        self, z: str, source: str, step: FoundStep, pads: tuple[int, int, int, int] = NO_PADS
    ) -> Bits:
        half, middle = (step.high - step.low) / 2, (step.high + step.low) / 2
        threshold = normal_thresholds(step.threshold, step.direction)
        op = ops.Step(threshold, step.direction, step.ties)
        origin = Origin(onnx_name(self.graph, z), half, middle, pads)
        return Bits(self._add(z, op, source, origin), middle, half, step.ties)

    def _padded(self, z: str, source: str, step: FoundStep) -> Bits | None:
        """Bits of a step on a Pad, with the Pad left to the readers; None where its border is not one value of z.

        It is a binary value, but for torch's sign(0) = 0, which becomes an ordinary border of zeros.
        """
        node = self.graph.producers().get(source)
        if node is None or not isinstance(node.op, ops.Gather):
            return None
        pads = border_of(node.op, self.graph.type(node.inputs[0]))
        if pads is None:
            return None
        cone = next(c for c in cones(self.graph, z) if c.source == source)
        channels = self.graph.type(z).channels
        value = cone.evaluate(np.full((1, channels), node.op.fill, np.float32))[cone.output][0]
        if np.ptp(value) > LEVEL_TOLERANCE * (step.high - step.low):
            return None
        bits = self._step(z, node.inputs[0], step, pads)
        return dataclasses.replace(bits, pads=pads, border=float(value[0]))

    def _two_levels(self, z: str, source: str, stairs: FoundStairs) -> Bits | NoBits:
        low, high = float(stairs.values.min()), float(stairs.values.max())
        if stairs.count != 2:
            bits = max(2, round(np.log2(stairs.count)))
            return NoBits(
                f"its input takes {stairs.count} values: {bits}-bit activation", stairs.count
            )
        if not np.isin(stairs.values, [low, high]).all():
            return NoBits(BY_CHANNEL, 2)
        half, middle = (high - low) / 2, (high + low) / 2
        origin = Origin(onnx_name(self.graph, z))
        value = self._add(z, staircase(stairs), source, origin, kind="stairs")
        return Bits(self._between(z, value, half, middle), middle, half, ties=False)

    def _between(self, z: str, value: str, half: float, middle: float) -> str:
        """The bits of a float tensor that holds z's two values."""
        channels = self.graph.type(z).channels
        rising = np.ones(channels, np.int8)
        op = ops.Step(normal_thresholds(np.full(channels, middle, np.float32), rising), rising)
        half = abs(half)  # a Step is +1 above
        return self._add(z, op, value, Origin(onnx_name(self.graph, z), half, middle))

    def _moved(self, z: str) -> Bits | NoBits | None:
        """Bits of what a MaxPool, a move or a scale makes of binary tensors."""
        node = self.graph.producers().get(z)
        known = (
            ops.MaxPool
            | ops.Gather
            | ops.Concat
            | ops.Reshape
            | ops.GlobalAvgPool
            | ops.ChannelAffine
        )
        if node is None or not isinstance(node.op, known):
            return None
        if isinstance(node.op, ops.GlobalAvgPool) and self.graph.type(node.inputs[0]).shape[2:] != (
            1,
            1,
        ):
            return None  # of one pixel it is a flattening
        found = [self.of(name) for name in node.inputs]
        inner = [bits for bits in found if isinstance(bits, Bits) and bits.pads == NO_PADS]
        if len(inner) < len(found):
            return None
        match node.op:
            case ops.MaxPool(window=window):
                return self._pooled(z, window, inner[0])
            case ops.ChannelAffine(scale=scales, offset=offsets):
                return _scaled(inner[0], scales, offsets)
            case ops.Gather(fill=fill) if any((i < 0).any() for i in node.op.indices):
                return self._rearranged(z, inner, [fill])
            case _:
                return self._rearranged(z, inner, [])

    def _pooled(self, z: str, window: ops.Window, bits: Bits) -> Bits | None:
        if bits.half < 0 or window.dilations != (1, 1):
            return self._rearranged(z, [bits], [])  # a minimum of bits; TFLite has no dilated pools
        origin = Origin(onnx_name(self.graph, z), bits.half, bits.middle)
        tensor = self._add(z, ops.BinaryMaxPool(window), bits.tensor, origin)
        return dataclasses.replace(bits, tensor=tensor)

    def _rearranged(self, z: str, inner: list[Bits], fills: list[float]) -> Bits | None:
        """Bits of z itself, if the tensors that it is made of, and what fills its holes, have the same two values."""
        middle, half = inner[0].middle, abs(inner[0].half)
        same = all((bits.middle, abs(bits.half)) == (middle, half) for bits in inner)
        if not same or not all(_is_level(fill, middle, half) for fill in fills):
            return None
        ties = any(bits.ties for bits in inner)
        return Bits(self._between(z, z, half, middle), middle, half, ties)

    def _add(self, z: str, op: Op, source: str, origin: Origin, kind: str = "bits") -> str:
        """Put a node that computes z's bits or stairs right after its source."""
        graph = self.graph
        name = graph.fresh(f"{z}~{kind}")
        label = name.replace("~bits", "~step") if kind == "bits" else name
        node = graph.make(label, op, [source], name, origin)
        at = next((i + 1 for i, n in enumerate(graph.nodes) if n.output == source), 0)
        graph.nodes.insert(at, node)
        return name


def border_of(op: ops.Gather, x: TensorType) -> tuple[int, int, int, int] | None:
    """(top, left, bottom, right) of a Gather that is a Pad of a map; None if it is anything else."""
    if op.rows is None or op.columns is None or not x.is_map:
        return None
    ends = []
    for indices, size in zip(op.indices, x.shape[1:], strict=True):
        before = int((indices >= 0).argmax())
        after = indices.size - before - size
        padded = np.pad(np.arange(size), (before, max(after, 0)), constant_values=-1)
        if not np.array_equal(indices, padded):
            return None
        ends.append((before, after))
    (front, back), (top, bottom), (left, right) = ends
    return None if front or back else (top, left, bottom, right)


def _scaled(bits: Bits, scales: Floats, offsets: Floats) -> Bits | NoBits:
    """The same bits for another z, if all channels have one scale and one offset."""
    scale, offset = float(scales[0]), float(offsets[0])
    if not scale or (scales != scale).any() or (offsets != offset).any():
        return NoBits(BY_CHANNEL, 2)
    return Bits(bits.tensor, bits.middle * scale + offset, bits.half * scale, bits.ties)


def _is_level(value: float, middle: float, half: float) -> bool:
    return abs(abs(value - middle) - abs(half)) <= LEVEL_TOLERANCE * abs(half)


def onnx_name(graph: Graph, tensor: str) -> str:
    """The ONNX tensor that a graph tensor comes from."""
    return graph.tensors[tensor].origin.onnx


def staircase(stairs: FoundStairs) -> ops.Staircase:
    """The op that computes them, with thresholds that are no subnormal numbers."""
    shape = stairs.thresholds.shape
    rising = np.ones(shape, np.int8)
    return ops.Staircase(normal_thresholds(stairs.thresholds, rising), stairs.values)


def probe(graph: Graph, z: str) -> tuple[str, FoundStep | FoundStairs] | str:
    """The deepest source from which z is a step (else stairs), with these; or why it is real."""
    step: tuple[str, FoundStep | FoundStairs] | None = None
    stairs: tuple[str, FoundStairs] | None = None
    reason = REAL
    for cone in cones(graph, z):
        found = find_step(cone, graph.type(z).channels)
        if isinstance(found, FoundStep):
            step = (cone.source, _with_zeros(graph, cone.source, found))
        elif step is not None:
            break
        elif isinstance(found, FoundStairs):
            stairs = (cone.source, found)
        elif found != "it is real":
            reason = f"its input is no step: {found}"
    return step or stairs or reason


def _with_zeros(graph: Graph, source: str, step: FoundStep) -> FoundStep | FoundStairs:
    """torch.sign of what a ReLU has passed is 0 or +1, not -1 or +1: its tie is no single point, but every zero.

    Behind a negative gain it is 0 or -1. Where some channels are like that and some are not, their levels differ.
    """
    passed = nonnegative(graph, source) & (step.threshold == 0) & step.ties
    if not passed.any():
        return step
    rising, middle = step.direction > 0, (step.low + step.high) / 2
    above = np.nextafter(np.float32(0), np.float32(1))
    # Stairs go up where x >= threshold; a step that falls does so where x > threshold.
    falls = np.nextafter(step.threshold, np.float32(np.inf))
    threshold = np.where(passed, above, np.where(rising, step.threshold, falls))
    if passed.all() and rising.all():
        return FoundStep(threshold, step.direction, middle, step.high, ties=False)
    first = np.where(passed, middle, np.where(rising, step.low, step.high))
    last = np.where(rising, step.high, step.low)
    values = np.stack([first, last], axis=1).astype(np.float32)
    return FoundStairs(threshold[:, None].astype(np.float32), values, count=2)
