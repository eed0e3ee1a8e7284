"""Every kernel of the registry against the ops' references: host with sanitizers, clang, and AArch64 under QEMU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from r2b_edge.exporters.c import Program, ProgramStep, build_program
from r2b_edge.exporters.c.kernels import REGISTRY, Kernel
from r2b_edge.graph.graph import Array, Graph
from r2b_edge.graph.interpret import run

from .cases import LAYERS, LAYERS_A_KERNEL, layers, random_inputs, real_to_binary
from .harness import TOOLCHAINS, Models, Target, Toolchain

TOLERANCE = 1e-5
ARITHMETIC = {"AFFINE", "PRELU", "SIGMOID", "ADD_MAP", "MUL_MAP", "ADD_VECTOR", "MUL_VECTOR"}
ROUNDING = {"fconv", "dense", "avgpool"}
"""Kernels, without their family, whose own arithmetic rounds."""

NETS = {"net": real_to_binary(), "wide": real_to_binary(channels=40, units=1, size=12, swap=True)}


def program_of(kernel: Kernel) -> tuple[Graph, Program]:
    graph = layers(kernel, seed=REGISTRY.index(kernel))
    target = Target(families=tuple(dict.fromkeys([kernel.family, "portable"])))
    others = [k for k in REGISTRY if k != kernel]
    return graph, build_program(graph, target, f"layers_{kernel.name}", {}, (kernel, *others))


@pytest.fixture(scope="session")
def programs() -> dict[str, tuple[Graph, Program]]:
    made = {kernel.name: program_of(kernel) for kernel in REGISTRY}
    return made | {n: (g, build_program(g, Target(), n, {})) for n, g in NETS.items()}


@pytest.fixture(scope="session", params=TOOLCHAINS, ids=lambda t: t.name)
def models(
    request: pytest.FixtureRequest,
    programs: dict[str, tuple[Graph, Program]],
    tmp_path_factory: pytest.TempPathFactory,
    require_tool: Callable[..., None],
) -> Models:
    toolchain: Toolchain = request.param
    require_tool(*toolchain.tools)
    folder = tmp_path_factory.mktemp(toolchain.name)
    return Models([program for _, program in programs.values()], toolchain, folder)


def test_every_op_of_the_registry_has_random_layers() -> None:
    assert {kernel.op for kernel in REGISTRY} <= set(LAYERS)


@pytest.mark.parametrize("kernel", REGISTRY, ids=lambda k: k.name)
def test_kernel(kernel: Kernel, models: Models, programs: dict[str, tuple[Graph, Program]]) -> None:
    graph, program = programs[kernel.name]
    own = sum(step.kernel == kernel.name for step in program.steps)
    assert own >= LAYERS_A_KERNEL, "random layers reach other kernels, or are taken apart"
    check_steps(graph, program, models)


@pytest.mark.parametrize("name", NETS)
def test_net_step_by_step(
    name: str, models: Models, programs: dict[str, tuple[Graph, Program]]
) -> None:
    check_steps(*programs[name], models)


@pytest.mark.parametrize("name", NETS)
def test_net_as_a_whole(
    name: str, models: Models, programs: dict[str, tuple[Graph, Program]]
) -> None:
    """r2b_run with buffers, and all steps in place, give what the steps give one by one."""
    graph, program = programs[name]
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


def filled(program: Program, names: list[str] | tuple[str, ...], values: dict[str, Array]) -> bytes:
    """An arena with these tensors; every other float in it is NaN."""
    arena = bytearray(b"\xff" * program.arena_bytes)
    for name in names:
        t = program.tensor[name]
        arena[t.offset : t.offset + t.bytes] = t.pack(values[t.value])
    return bytes(arena)


def check_steps(graph: Graph, program: Program, models: Models) -> None:
    for seed in (1, 2):
        reference = run(graph, random_inputs(graph, seed))
        before = [filled(program, step.inputs, reference) for step in program.steps]
        requests = [
            (program, 0, s.index, s.index, a) for s, a in zip(program.steps, before, strict=True)
        ]
        for step, old, new in zip(program.steps, before, models.run(requests), strict=True):
            check_untouched(program, step, old, new)
            check_outputs(graph, program, step, new, reference)


def check_untouched(program: Program, step: ProgramStep, old: bytes, new: bytes) -> None:
    """A step writes its outputs and its workspace, nothing else."""
    changed = np.frombuffer(old, np.uint8) != np.frombuffer(new, np.uint8)
    places = [(program.tensor[n].offset, program.tensor[n].bytes) for n in step.outputs]
    for offset, size in [*places, step.work]:
        changed[offset : offset + size] = False
    assert not changed.any(), f"{step.title} writes at {np.flatnonzero(changed)[:8]}"


def check_outputs(
    graph: Graph, program: Program, step: ProgramStep, arena: bytes, reference: dict[str, Array]
) -> None:
    producers = graph.producers()
    kinds = [op.kind for op in step.epilogue]
    for name in step.outputs:
        t = program.tensor[name]
        data = arena[t.offset : t.offset + t.bytes]
        got, want = t.unpack(data), reference[t.value]
        where = f"step {step.index}, {step.title}, {kinds}, {name}"
        if t.type.dtype == "bits":
            assert t.pack(got) == data, f"{where}: bits beyond the last channel"
            node = producers[t.value]
            before = reference[node.inputs[0]].astype(np.float32)
            threshold = node.op.threshold.reshape(1, -1, *[1] * (before.ndim - 2))
            exact = step.kernel.split("_")[0] not in ROUNDING and not ARITHMETIC & set(kinds)
            margin = -1.0 if exact else TOLERANCE * np.abs(before).max()
            assert (np.abs(before - threshold)[got != want] <= margin).all(), where
        elif t.type.dtype == "int32":
            assert (got == want).all(), where
        else:
            error = np.abs(got - want).max()
            assert error <= TOLERANCE * np.abs(want).max(), f"{where}: {error}"
