"""From what the stages made to a Report: layers and their parts, sizes, kinds of figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from r2b_edge import ops
from r2b_edge.exporters.c import Program
from r2b_edge.exporters.c.kernels import REGISTRY
from r2b_edge.frontend import Loaded
from r2b_edge.graph.graph import Graph, LayerFinding, Node
from r2b_edge.report.model import Build, Layer, Memory, Model, Part, Report, Step, TensorInfo, Tool
from r2b_edge.targets import Target
from r2b_edge.version import __version__

FLOAT_BYTES = 4
REAL = (np.float32, np.float16, np.int8)
"""What constants hold that stands for real numbers."""
NAMED = 4
"""Layers that a remark names; of the others it says how many there are."""


@dataclass(frozen=True)
class Artifacts:
    """The model's file name, what the front end said, the network as trained in ONNX, model.tflite's size."""

    file: str
    loaded: Loaded
    onnx_path: Path
    tflite_bytes: int


@dataclass(frozen=True)
class Measured:
    """Figures from the linked program and from a run; None where nothing was built or run. Bytes."""

    compiler: str | None = None
    flags: tuple[str, ...] = ()
    flash: int | None = None
    data: int | None = None
    stack: int | None = None
    notes: tuple[str, ...] = ()

    def with_stack(self, stack: int) -> Measured:
        """The same with the stack's peak."""
        return replace(self, stack=stack)

    def with_note(self, note: str) -> Measured:
        """The same with one more note."""
        return replace(self, notes=(*self.notes, note))


def collect(
    artifacts: Artifacts,
    graph: Graph,
    program: Program,
    board: Target,
    measured: Measured,
    options: Mapping[str, str],
) -> Report:
    """The report of a fresh export, before any check; `options` are those that a check has to know."""
    layers = _layers(graph, program)
    return Report(
        tool=Tool(name="r2b-edge", version=__version__),
        target=board.name,
        target_core=board.core,
        model=_model(artifacts, graph),
        memory=_memory(artifacts, graph, program, measured),
        layers=tuple(layers),
        steps=tuple(
            Step(index=s.index, kernel=s.called, layer=name)
            for s, name in zip(program.steps, _layer_names(graph, program), strict=True)
        ),
        build=None
        if measured.compiler is None
        else Build(compiler=measured.compiler, flags=measured.flags),
        options={"name": program.name, **options},
        notes=(
            *artifacts.loaded.notes,
            *_remarks(graph.findings),
            *_storage(graph, program),
            *_sums(program),
            *_stand_in(board),
            *measured.notes,
        ),
    )


def _stand_in(board: Target) -> list[str]:
    """Where the checks run, if no emulator is the target itself."""
    emulator = board.emulator
    if emulator is None or not (emulator.other_board or emulator.stand_in):
        return []
    differs = "with another core" if emulator.stand_in else "of the same core"
    return [
        f"no emulator is a {board.name}: it is checked on a board {differs} ({' '.join(emulator.argv)}); "
        "its memory and sizes are its own"
    ]


def _storage(graph: Graph, program: Program) -> list[str]:
    """What is stored otherwise than in float32, and what of it is not although it was asked for."""
    halves = [c.array for c in program.constants if c.array.dtype == np.float16]
    notes = list(graph.notes)
    if halves:
        notes.insert(
            0,
            f"{sum(a.size for a in halves):,} float weights are stored in half precision; arithmetic is float32. "
            "model.onnx is as trained: the reference, model.tflite and c/ hold the rounded weights",
        )
    if graph.uint8_inputs:
        notes.append(
            "the C program takes its inputs as uint8, whole numbers from 0 to 255; model.onnx and model.tflite "
            "take the same numbers as float32"
        )
    return notes


def _sums(program: Program) -> list[str]:
    """Which layers are not summed term by term."""
    other = {kernel.name for kernel in REGISTRY if not kernel.exact}
    layers = [step.layer for step in program.steps if other & set(step.kernels)]
    if not layers:
        return []
    return [
        f"{listed(layers)}: by Winograd's algorithm, whose rounding is about 4 times that of sums term by term, up to "
        "some 2e-6 of the largest value; check holds it to 1e-5 as all others. --exact-float sums term by term"
    ]


def _remarks(findings: Iterable[LayerFinding]) -> list[str]:
    """What is to know of layers: a line for all of which the same is told."""
    binary: dict[str, list[str]] = {}
    real: dict[str, list[str]] = {}
    for finding in findings:
        if finding.note:
            binary.setdefault(finding.note, []).append(finding.name)
        if finding.suspect:
            real.setdefault(finding.reason, []).append(finding.name)
    return [
        *(f"{listed(names)}: {note}" for note, names in binary.items()),
        *(
            f"{listed(names)} {'stays' if len(names) == 1 else 'stay'} float: {reason}"
            for reason, names in real.items()
        ),
    ]


def listed(names: list[str]) -> str:
    """The first few names, and how many others there are."""
    shown = ", ".join(names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"


def _model(artifacts: Artifacts, graph: Graph) -> Model:
    binary_macs = float_macs = binary_weights = float_weights = 0
    for node in graph.nodes:
        macs = node.op.macs(*(graph.type(i) for i in node.inputs))
        if isinstance(node.op, ops.BinaryConv):
            binary_macs += macs
            binary_weights += node.op.weight.size
        else:
            float_macs += macs
            float_weights += sum(
                v.size for v in node.op.constants().values() if v.dtype in (np.float32, np.int8)
            )
    loaded = artifacts.loaded
    return Model(
        file=artifacts.file,
        sha256=loaded.sha256,
        form=loaded.form,
        inputs=tuple(
            TensorInfo(
                name=t.name,
                shape=t.shape,
                dtype="uint8" if t.name in graph.uint8_inputs else t.dtype,
            )
            for t in loaded.inputs
        ),
        outputs=tuple(
            TensorInfo(name=t.name, shape=t.shape, dtype=t.dtype) for t in loaded.outputs
        ),
        binary_macs=binary_macs,
        float_macs=float_macs,
        binary_weights=binary_weights,
        float_weights=float_weights,
    )


def trained_parameters(onnx_path: Path) -> int:
    """How many parameters the network was trained with: all float constants, running statistics left out."""
    model = onnx.load(onnx_path)
    sizes = {
        t.name: int(np.prod(t.dims))
        for t in model.graph.initializer
        if t.data_type == onnx.TensorProto.FLOAT
    }
    running = {
        name
        for node in model.graph.node
        if node.op_type == "BatchNormalization"
        for name in node.input[3:5]
    }
    return sum(size for name, size in sizes.items() if name not in running)


def _memory(artifacts: Artifacts, graph: Graph, program: Program, measured: Measured) -> Memory:
    ram = None
    if measured.data is not None and measured.stack is not None:
        # The program that is linked holds the arena in its data.
        ram = measured.data + measured.stack
    return Memory(
        float32_weight_bytes=FLOAT_BYTES * trained_parameters(artifacts.onnx_path),
        weight_bytes=program.weight_bytes,
        tflite_bytes=artifacts.tflite_bytes,
        flash_bytes=measured.flash,
        flash_kind=None if measured.flash is None else "linked",
        ram_bytes=ram,
        ram_kind=None if ram is None else "linked",
        arena_bytes=program.arena_bytes,
        arena_bound_bytes=program.arena_bound_bytes,
        stack_bytes=measured.stack,
        stack_kind=None if measured.stack is None else "painted stack",
        float32_arena_bytes=_float32_arena(graph),
    )


def _float32_arena(graph: Graph) -> int:
    """What the same network needs at least in float32: no bits, one op after another, skips in place."""
    last: dict[str, int] = {}
    for index, node in enumerate(graph.nodes):
        last.update(dict.fromkeys(node.inputs, index))
    last.update(dict.fromkeys(graph.outputs, len(graph.nodes)))
    size = {n: FLOAT_BYTES * int(np.prod(t.type.shape)) for n, t in graph.tensors.items()}
    live = set(graph.inputs)
    peak = 0
    for index, node in enumerate(graph.nodes):
        dying = {n for n in node.inputs if last[n] == index}
        in_place = node.op.elementwise or isinstance(node.op, ops.Step)
        takes_over = in_place and any(size[n] >= size[node.output] for n in dying)
        need = sum(size[n] for n in live) + (0 if takes_over else size[node.output])
        peak = max(peak, need)
        live = (live - dying) | {node.output}
    return peak


def _layer_names(graph: Graph, program: Program) -> list[str]:
    """Of each step the layer that it belongs to: one that only changes a layout belongs to the layer that reads it."""
    nodes = {node.name for node in graph.nodes}
    names: list[str] = []
    for step in program.steps:
        readers = (s for s in program.steps[step.index + 1 :] if set(step.outputs) & set(s.inputs))
        names.append(step.layer if step.layer in nodes else next(readers).layer)
    return names


def _layers(graph: Graph, program: Program) -> list[Layer]:
    nodes = {node.name: node for node in graph.nodes}
    findings = {finding.name: finding for finding in graph.findings}
    constants = {c.symbol: c.array for c in program.constants}
    seen: set[str] = set()
    steps_of: dict[str, list[int]] = {}
    for step, name in zip(program.steps, _layer_names(graph, program), strict=True):
        steps_of.setdefault(name, []).append(step.index)
    layers = []
    for name, indices in steps_of.items():
        node = nodes[name]
        covered = [nodes[n] for i in indices for n in program.steps[i].nodes if n in nodes]
        symbols = {s for i in indices for s in program.steps[i].constants} - seen
        seen |= symbols
        arrays = [constants[s] for s in symbols]
        binary = isinstance(node.op, ops.BinaryConv)
        finding = findings.get(name)
        layers.append(
            Layer(
                name=name,
                kind=type(node.op).__name__,
                binary=binary,
                macs=sum(n.op.macs(*(graph.type(i) for i in n.inputs)) for n in covered),
                weight_bytes=sum(a.nbytes for a in arrays),
                float_bytes=sum(a.nbytes for a in arrays if a.dtype in REAL),
                float32_bytes=sum(_trained_bytes(n) for n in covered),
                output_shape=graph.type(node.output).shape,
                steps=tuple(indices),
                part=_part(graph, node),
                reason=_reason(node, finding),
                suspect=finding is not None and finding.suspect,
            )
        )
    return layers


def _reason(node: Node, finding: LayerFinding | None) -> str | None:
    """Why the layer is in float; None for a binary one, and where the report's own words for its part say it."""
    if isinstance(node.op, ops.MaxPool | ops.AvgPool):
        return "it pools real values"
    return finding.reason if finding is not None and not finding.binary else None


def _trained_bytes(node: Node) -> int:
    """The node's constants in float32; a Step's thresholds stand for BatchNorm's scale and offset."""
    if isinstance(node.op, ops.Step):
        return 2 * FLOAT_BYTES * node.op.threshold.size
    fields = (getattr(node.op, f.name) for f in dataclasses.fields(node.op))
    return sum(FLOAT_BYTES * v.size for v in fields if isinstance(v, np.ndarray))


def _part(graph: Graph, node: Node) -> Part:
    """What a layer is in the network, by what it reads and where its value goes."""
    match node.op:
        case ops.BinaryConv():
            return "binary"
        case ops.Dense():
            return "gate" if _reaches(graph, node, ops.Mul) else "classifier"
        case ops.QuantConv() if not graph.type(node.output).is_map:
            return "gate" if _reaches(graph, node, ops.Mul) else "classifier"
        case ops.FloatConv() | ops.QuantConv():
            if _starts(graph, node):
                return "stem"
            return "downsample" if _reaches(graph, node, ops.Add) else "other"
        case ops.ChannelAffine() | ops.PReLU():
            return "norm"
    return "other"


def _reaches(graph: Graph, node: Node, kind: type) -> bool:
    """Does the value meet an op of `kind` before any other convolution?"""
    consumers = graph.consumers()
    front = [node]
    while front:
        readers = consumers[front.pop().output]
        if any(isinstance(reader.op, kind) for reader in readers):
            return True
        front += [r for r in readers if r.op.elementwise or isinstance(r.op, ops.Dense)]
    return False


def _starts(graph: Graph, node: Node) -> bool:
    """Does the layer read the input, through elementwise ops at the most?"""
    producers = graph.producers()
    name = node.inputs[0]
    while name in producers and producers[name].op.elementwise:
        name = producers[name].inputs[0]
    return name in graph.inputs
