"""Fusion and schedule: which nodes become one step, and in what order the steps run.

A step is an anchor (a convolution, dense layer or pool; or nothing, where the value is stored already) and the
elementwise nodes that follow it, as long as they can run on its values pixel by pixel. What readers need of any value
on the way is written in the same pass: the float map where something reads it as a map, the sign bits for a Step, the
channel mean for a GlobalAvgPool.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from r2b_edge.errors import UnsupportedError
from r2b_edge.exporters.c.anchors import BytesConv, Pixelwise
from r2b_edge.graph.graph import Graph, Node
from r2b_edge.ops import (
    Add,
    AvgPool,
    BinaryConv,
    BinaryMaxPool,
    ChannelAffine,
    ChannelReduce,
    Clip,
    Concat,
    ConstantMap,
    Dense,
    FloatConv,
    Gather,
    GlobalAvgPool,
    MaxPool,
    Mul,
    Op,
    Pairwise,
    PReLU,
    QuantConv,
    Reshape,
    Select,
    Sigmoid,
    Softmax,
    Staircase,
    Step,
    Unary,
)

ANCHORS = (
    BinaryConv, FloatConv, QuantConv, Dense, MaxPool, AvgPool, BinaryMaxPool, Gather, Concat, ChannelReduce, Select,
    Reshape,
)  # fmt: skip
UNARY: dict[type[Op], str] = {
    ChannelAffine: "AFFINE",
    PReLU: "PRELU",
    Clip: "CLIP",
    Sigmoid: "SIGMOID",
    Unary: "CALL",
    Softmax: "CALL",
    Staircase: "CALL",
    ConstantMap: "CALL",
}
BINARY: dict[type[Op], str] = {Add: "ADD", Mul: "MUL", Pairwise: "CALL"}
TAPS: dict[type[Op], str] = {Step: "BITS", GlobalAvgPool: "MEAN"}


@dataclass(frozen=True)
class Tile:
    """One operation of an epilogue.

    Args:
        kind: R2B_TILE_<kind>.
        node: the graph node that it computes; None for a store.
        operand: the tensor that it reads beside the tile, or "".
        result: the tensor that it writes, or "".
        call: of a CALL: r2b_call_<call> is its function.
        by: of a CALL with an operand, constant or not: how it is read, R2B_<by>.
    """

    kind: str
    node: Node | None = None
    operand: str = ""
    result: str = ""
    call: str = ""
    by: str = ""

    @property
    def reads_pixel(self) -> bool:
        """True if it reads its operand at the pixel that it works on, and no other."""
        return self.kind.endswith("_MAP") or self.by == "EVERYWHERE"


@dataclass
class Group:
    """The nodes of one step.

    Args:
        source: the tensor that the anchor reads.
        anchor: the node, or None where the step starts from the stored `source`.
        chain: the values that the tile takes, in order; the first is the anchor's output or `source`.
        links: links[i] makes chain[i + 1] from chain[i].
        taps: Step and GlobalAvgPool nodes on values of the chain.
        tiles: the epilogue, set when all groups are known.
        others: the anchor's other inputs, in order.
        on_bytes: True if `source` is bytes, and the anchor a convolution that reads them.
        before: the ChannelAffine through which it then reads them, if there is one.
    """

    source: str
    anchor: Node | None
    chain: list[str]
    links: list[Node] = field(default_factory=list)
    taps: list[Node] = field(default_factory=list)
    tiles: list[Tile] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    on_bytes: bool = False
    before: Node | None = None

    @property
    def op(self) -> Op:
        """What the kernel computes."""
        op = self.anchor.op if self.anchor else Pixelwise()
        if not self.on_bytes:
            return op
        affine = self.before.op if self.before else None
        assert isinstance(op, FloatConv)
        if not isinstance(affine, ChannelAffine):
            return BytesConv(op)
        return BytesConv(op, affine.scale, affine.offset)

    @property
    def nodes(self) -> list[Node]:
        """All nodes: the anchor, what it reads through, then the epilogue's in order."""
        own = [node for node in (self.anchor, self.before) if node]
        return own + [t.node for t in self.tiles if t.node]

    @property
    def operands(self) -> list[str]:
        """Tensors that the epilogue reads, in order, each once."""
        return list(dict.fromkeys(t.operand for t in self.tiles if t.operand))

    @property
    def sources(self) -> list[str]:
        """Tensors that the anchor reads, in order; one may come twice."""
        return [self.source, *self.others]

    @property
    def reads(self) -> list[str]:
        """Tensors that the step reads: the anchor's first, then the epilogue's, each once."""
        return list(dict.fromkeys([*self.sources, *self.operands]))

    @property
    def writes(self) -> list[str]:
        """Tensors that the step writes."""
        return [t.result for t in self.tiles if t.result]


def select(graph: Graph) -> list[Group]:
    """Group a graph's nodes into steps, in execution order.

    Raises:
        UnsupportedError: a node that the C runtime has no way to compute.
    """
    _check(graph)
    groups = _group(graph, schedule(graph))
    for group in groups:
        group.tiles = list(_tiles(graph, group))
    _verify(graph, groups)
    return groups


def _check(graph: Graph) -> None:
    known = (*ANCHORS, *UNARY, *BINARY, *TAPS)
    for node in graph.nodes:
        kind = type(node.op).__name__
        if not isinstance(node.op, known):
            raise UnsupportedError(f"{kind} {node.name!r}: the C runtime has no such op")
        for name in node.inputs:
            on_bits = isinstance(node.op, BinaryConv | BinaryMaxPool)
            if graph.type(name).dtype == "bits" and not on_bits:
                raise UnsupportedError(
                    f"{kind} {node.name!r} reads bits ({name!r}): the C runtime has only binary convolutions and "
                    "pools on bits"
                )


def _continuing(graph: Graph, readers: dict[str, list[Node]], name: str) -> int:
    return sum(not isinstance(n.op, tuple(TAPS)) for n in readers[name]) + (name in graph.outputs)


def schedule(graph: Graph) -> list[Node]:
    """Order the nodes so that gates and skips are computed before the convolution that they modify.

    Depth first from the outputs, post-order. Of a node's operands the one that leads to a binary convolution
    (else to a float one) through elementwise nodes which nobody else continues from is visited last: then
    everything else that this chain needs is there when its convolution runs.
    """
    readers = graph.consumers()
    producers = graph.producers()
    rank = dict.fromkeys(graph.inputs, 0)
    for node in graph.nodes:
        if isinstance(node.op, ANCHORS):
            rank[node.output] = {BinaryConv: 3, FloatConv: 2, QuantConv: 2}.get(type(node.op), 1)
        elif isinstance(node.op, tuple(TAPS)):
            rank[node.output] = 0
        else:
            own = (rank[n] for n in node.inputs if _continuing(graph, readers, n) == 1)
            rank[node.output] = max(own, default=0)

    def operands(node: Node) -> Iterator[str]:
        return iter(sorted(node.inputs, key=rank.__getitem__))

    order: list[Node] = []
    seen: set[str] = set(graph.inputs)
    for output in graph.outputs:
        if output in seen:
            continue
        seen.add(output)
        stack = [(producers[output], operands(producers[output]))]
        while stack:
            node, waiting = stack[-1]
            name = next((n for n in waiting if n not in seen), None)
            if name is None:
                order.append(node)
                stack.pop()
            else:
                seen.add(name)
                stack.append((producers[name], operands(producers[name])))
    return order


def _group(graph: Graph, order: list[Node]) -> list[Group]:
    groups: list[Group] = []
    # made_in: the group that writes or passes a value, -1 for an input. home: the group on whose chain it is.
    made_in = dict.fromkeys(graph.inputs, -1)
    home: dict[str, int] = {}

    def start(source: str, anchor: Node | None, value: str) -> int:
        groups.append(Group(source, anchor, [value]))
        home[value] = len(groups) - 1
        return home[value]

    readers = graph.consumers()
    read_through: dict[str, Node] = {}
    for node in order:
        if _is_read_through(graph, readers, node):
            read_through[node.output] = node
        elif isinstance(node.op, ANCHORS):
            before = read_through.get(node.inputs[0])
            source = before.inputs[0] if before else node.inputs[0]
            made_in[node.output] = start(source, node, node.output)
            groups[-1].others = list(node.inputs[1:])
            groups[-1].before = before
            groups[-1].on_bytes = isinstance(node.op, FloatConv) and source in graph.uint8_inputs
        elif isinstance(node.op, tuple(TAPS)):
            (value,) = node.inputs
            index = home[value] if value in home else start(value, None, value)
            groups[index].taps.append(node)
            made_in[node.output] = index
        else:
            hosts = [
                (home[n], n)
                for n in node.inputs
                if _can_host(graph, groups, made_in, home, node, n)
            ]
            if not hosts:
                full = next(
                    n for n in node.inputs if graph.type(n).shape == graph.type(node.output).shape
                )
                hosts = [(start(full, None, full), full)]
            index, _ = max(hosts)
            groups[index].chain.append(node.output)
            groups[index].links.append(node)
            made_in[node.output] = home[node.output] = index
    return groups


def _is_read_through(graph: Graph, readers: dict[str, list[Node]], node: Node) -> bool:
    """True for an affine map of bytes that one convolution alone reads: it takes the map along as it converts them."""
    on_bytes = isinstance(node.op, ChannelAffine) and node.inputs[0] in graph.uint8_inputs
    if not on_bytes or node.output in graph.outputs:
        return False
    return [type(reader.op) for reader in readers[node.output]] == [FloatConv]


def _can_host(
    graph: Graph,
    groups: list[Group],
    made_in: dict[str, int],
    home: dict[str, int],
    node: Node,
    value: str,
) -> bool:
    """True if `node` can run on the tile of the group where `value` is the last value so far."""
    if value not in home or groups[home[value]].chain[-1] != value:
        return False
    others = list(node.inputs)
    others.remove(value)
    same_shape = graph.type(value).shape == graph.type(node.output).shape
    return same_shape and all(n != value and made_in[n] < home[value] for n in others)


def _tiles(graph: Graph, group: Group) -> Iterator[Tile]:
    readers = graph.consumers()
    for i, value in enumerate(group.chain):
        if i > 0:
            yield _link(graph, group.links[i - 1], group.chain[i - 1])
        inside = [*group.links[i : i + 1], *group.taps]
        needed = value in graph.outputs or any(node not in inside for node in readers[value])
        if needed and not (i == 0 and group.anchor is None):
            yield Tile("STORE", result=value)
        for node in group.taps:
            if node.inputs[0] == value:
                yield Tile(TAPS[type(node.op)], node, result=node.output)


def _link(graph: Graph, node: Node, value: str) -> Tile:
    match node.op:
        case Unary(kind=kind):
            return Tile("CALL", node, call=kind.lower())
        case Staircase():
            return Tile("CALL", node, call="stairs")
        case Softmax(log=log):
            return Tile("CALL", node, call="logsoftmax" if log else "softmax")
        case ConstantMap(kind=kind, value=constant):
            by = _constant_form(constant.shape)
            return Tile("CALL", node, call=kind.lower(), by=by)
    if type(node.op) in UNARY:
        return Tile(UNARY[type(node.op)], node)
    others = list(node.inputs)
    others.remove(value)
    operand = graph.type(others[0])
    full = graph.type(value).shape
    forms = {full: "EVERYWHERE", full[:2]: "BY_CHANNEL", (full[0], 1): "SINGLE"}
    by = forms.get(operand.shape, "BY_PIXEL")
    if isinstance(node.op, Add | Mul) and by in ("EVERYWHERE", "BY_CHANNEL"):
        kind = f"{BINARY[type(node.op)]}_{'MAP' if by == 'EVERYWHERE' else 'VECTOR'}"
        return Tile(kind, node, operand=others[0])
    name = node.op.kind if isinstance(node.op, Pairwise) else type(node.op).__name__
    turned = name in ("Sub", "Div") and node.inputs[0] != value
    return Tile("CALL", node, others[0], call=f"{'r' if turned else ''}{name.lower()}", by=by)


def _constant_form(shape: tuple[int, ...]) -> str:
    """How a constant [C or 1, H or 1, W or 1] is stored: the smallest form that holds it."""
    if shape[1:] == (1, 1):
        return "BY_CHANNEL"
    return "BY_PIXEL" if shape[0] == 1 else "EVERYWHERE"


def _verify(graph: Graph, groups: list[Group]) -> None:
    """Every step reads only what earlier steps wrote, and every output is written: else the fusion is wrong."""
    ready = set(graph.inputs)
    for group in groups:
        missing = [name for name in group.reads if name not in ready]
        assert not missing, (
            f"the step of {group.chain[0]!r} reads {missing} before they are written"
        )
        ready.update(group.writes)
    assert ready >= set(graph.outputs)
