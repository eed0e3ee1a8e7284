"""Every kernel of the registry against the ops' references: host with sanitizers, clang, and AArch64 under QEMU."""

from __future__ import annotations

import numpy as np
import pytest

from r2b_edge.exporters.c import Program, ProgramStep
from r2b_edge.exporters.c.kernel import Kernel
from r2b_edge.exporters.c.kernels import REGISTRY
from r2b_edge.graph.graph import Array, Graph
from r2b_edge.graph.interpret import run
from r2b_edge.ops import BinaryMaxPool

from .cases import BLOCK_SEEDS, LAYERS, LAYERS_A_KERNEL
from .conftest import require_in
from .harness import Models
from .joined import BY_ROWS, ROWS_A_KERNEL
from .nets import NETS, OTHER_NETS, random_inputs
from .watch import filled, request

TOLERANCE = 1e-5
ARITHMETIC = {
    "AFFINE",
    "PRELU",
    "SIGMOID",
    "ADD_MAP",
    "MUL_MAP",
    "ADD_VECTOR",
    "MUL_VECTOR",
    "CALL",
}
ROUNDING = {"fconv", "dense", "avgpool", "channel_reduce"}
"""Kernels, without their family, whose own arithmetic rounds."""


def test_every_op_of_the_registry_has_random_layers() -> None:
    assert {kernel.op for kernel in REGISTRY} <= set(LAYERS)


@pytest.mark.parametrize("kernel", REGISTRY, ids=lambda k: k.name)
def test_kernel(kernel: Kernel, models: Models, programs: dict[str, tuple[Graph, Program]]) -> None:
    graph, program = programs[kernel.name]
    require_in(models, program)
    own = sum(step.kernel == kernel.name for step in program.steps)
    assert own >= LAYERS_A_KERNEL, "random layers reach other kernels, or are taken apart"
    check_steps(graph, program, models)


@pytest.mark.parametrize("kernel", BY_ROWS, ids=lambda k: k.name)
def test_rows(kernel: Kernel, models: Models, programs: dict[str, tuple[Graph, Program]]) -> None:
    """The kernel computes rows that another one reads, or reads them, row by row."""
    graph, program = programs[f"rows_{kernel.name}"]
    require_in(models, program)
    own = sum(step.stream is not None and kernel.name in step.kernels for step in program.steps)
    assert own >= ROWS_A_KERNEL, "random layers reach other kernels, or are not joined"
    check_steps(graph, program, models)


@pytest.mark.parametrize("name", [*NETS, *OTHER_NETS, *BLOCK_SEEDS])
def test_net_step_by_step(
    name: str, models: Models, programs: dict[str, tuple[Graph, Program]]
) -> None:
    require_in(models, programs[name][1])
    check_steps(*programs[name], models)


@pytest.mark.parametrize("name", [*NETS, *OTHER_NETS])
def test_net_as_a_whole(
    name: str, models: Models, programs: dict[str, tuple[Graph, Program]]
) -> None:
    """r2b_run with buffers, and all steps in place, give what the steps give one by one."""
    graph, program = programs[name]
    require_in(models, program)
    inputs = random_inputs(graph, seed=5)
    arena = filled(program, graph.inputs, inputs)
    last = len(program.steps) - 1
    in_place, buffered = models.run([(program, 0, 0, last, arena), (program, 1, 0, last, arena)])
    reference = run(graph, inputs)
    for output in program.outputs:
        t = program.tensor[output]
        part = slice(t.offset, t.offset + t.bytes)
        assert in_place[part] == buffered[part]
        assert np.abs(t.unpack(buffered[part]) - reference[output]).max() < 0.05


def check_steps(graph: Graph, program: Program, models: Models) -> None:
    """Each step alone on what the reference holds: right outputs, and nothing else read or written."""
    for seed in (1, 2):
        reference = run(graph, random_inputs(graph, seed))
        requests = []
        for s in program.steps:
            arena = filled(program, s.inputs, reference) + request(program, s.index, s.index)
            requests.append((program, 2, s.index, s.index, arena))
        for step, arena in zip(program.steps, models.run(requests), strict=True):
            check_outputs(graph, program, step, arena, reference)


def check_outputs(
    graph: Graph, program: Program, step: ProgramStep, arena: bytes, reference: dict[str, Array]
) -> None:
    producers = graph.producers()
    calls = [*([step.stream.maker] if step.stream else []), step]
    kinds = [op.kind for call in calls for op in call.epilogue]
    for name in step.outputs:
        t = program.tensor[name]
        data = arena[t.offset : t.offset + t.bytes]
        got, want = t.unpack(data), reference[t.value]
        where = f"step {step.index}, {step.title}, {kinds}, {name}"
        if t.type.dtype == "bits":
            assert t.pack(got) == data, f"{where}: bits beyond the last channel"
            node = producers[t.value]
            if isinstance(node.op, BinaryMaxPool):
                assert (got == want).all(), where
                continue
            before = reference[node.inputs[0]].astype(np.float32)
            threshold = node.op.threshold.reshape(1, -1, *[1] * (before.ndim - 2))
            own = {kernel.split("_")[0] for kernel in step.kernels}
            exact = not ROUNDING & own and not ARITHMETIC & set(kinds)
            margin = -1.0 if exact else TOLERANCE * np.abs(before).max()
            assert (np.abs(before - threshold)[got != want] <= margin).all(), where
        elif t.type.dtype == "int32":
            assert (got == want).all(), where
        else:
            error = np.abs(got - want).max()
            assert error <= TOLERANCE * np.abs(want).max(), f"{where}: {error}"
