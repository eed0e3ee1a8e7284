"""Fixtures of the tests of the C exporter: among them the programs of all random layers and nets, compiled once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from r2b_edge.exporters.c import Program, build_program
from r2b_edge.exporters.c.kernel import Kernel
from r2b_edge.exporters.c.kernels import REGISTRY
from r2b_edge.graph.graph import Graph

from .cases import BLOCK_SEEDS, layers
from .edges import CORTEX_M, GRAIN, at_edges
from .harness import TOOLCHAINS, Models, Target, Toolchain
from .joined import BY_ROWS, rows
from .nets import NETS, OTHER_NETS
from .watch import GUARD

Programs = dict[str, tuple[Graph, Program]]


CORES = 4


def target_of(family: str) -> Target:
    """A target that prefers these kernels, and that has threads if its like runs Linux."""
    cores = CORES if family in ("portable", "neon", "mcu") else 1
    return Target(families=tuple(dict.fromkeys([family, "portable"])), cores=cores)


def _program_of(kernel: Kernel, name: str = "", seed: int = 0) -> tuple[Graph, Program]:
    graph = layers(kernel, seed or REGISTRY.index(kernel))
    target = target_of(kernel.family)
    others = [k for k in REGISTRY if k != kernel]
    kernel = dataclasses.replace(kernel, wins=lambda op, x, y: True)  # slow shapes, too
    name = f"layers_{name or kernel.name}"
    registry = (kernel, *others)
    if kernel.family not in CORTEX_M:
        return graph, build_program(
            graph, target, name, {}, registry, GUARD, streams="none", worth=0
        )
    registry = (dataclasses.replace(kernel, alignment=GRAIN), *others)
    with at_edges():
        return graph, build_program(
            graph, target, name, {}, registry, GUARD, streams="none", worth=0
        )


def _rows_of(kernel: Kernel) -> tuple[Graph, Program]:
    graph = rows(kernel, REGISTRY.index(kernel))
    others = [k for k in REGISTRY if k != kernel]
    kernel = dataclasses.replace(kernel, wins=lambda op, x, y: True)
    name, registry = f"rows_{kernel.name}", (kernel, *others)
    target = target_of(kernel.family)
    return graph, build_program(graph, target, name, {}, registry, GUARD, streams="all", worth=0)


@pytest.fixture(scope="session")
def programs() -> Programs:
    """Random layers by their kernel's name; nets by their own, and once more as <name>_guarded: see watch.py.

    Nets of the portable family; <name>_<family> are for another one.
    """
    made = {kernel.name: _program_of(kernel) for kernel in REGISTRY}
    made |= {f"rows_{kernel.name}": _rows_of(kernel) for kernel in BY_ROWS}
    for name, graph in NETS.items():
        made[name] = graph, build_program(graph, Target(), name, {})
        guarded = f"{name}_guarded"
        made[guarded] = graph, build_program(graph, Target(), guarded, {}, guard=GUARD)
    blocks = next(kernel for kernel in REGISTRY if kernel.name == "bconv_neon")
    made |= {name: _program_of(blocks, name, seed) for name, seed in BLOCK_SEEDS.items()}
    for name in OTHER_NETS:
        net, family = name.split("_")
        target = target_of(family)
        made[name] = NETS[net], build_program(NETS[net], target, name, {}, guard=GUARD, worth=0)
    return made


def families_of(program: Program) -> set[str]:
    """Of the kernels that a program calls."""
    family = {kernel.name: kernel.family for kernel in REGISTRY}
    return {family[kernel] for step in program.steps for kernel in step.kernels}


def require_in(models: Models, program: Program) -> None:
    """Skip where a program needs instructions that the toolchain does not have."""
    if program.name not in models.names:
        pytest.skip("for another architecture")


@pytest.fixture(scope="session", params=TOOLCHAINS, ids=lambda t: t.name)
def models(
    request: pytest.FixtureRequest,
    programs: Programs,
    tmp_path_factory: pytest.TempPathFactory,
    require_tool: Callable[..., None],
) -> Models:
    """One executable with all that a toolchain has the instructions for, by toolchain."""
    toolchain: Toolchain = request.param
    require_tool(*toolchain.tools)
    folder = tmp_path_factory.mktemp(toolchain.name)
    families = {p.name: families_of(p) for _, p in programs.values()}
    able = [
        p
        for _, p in programs.values()
        if families[p.name] <= set(toolchain.families)
        and (not toolchain.only or toolchain.only in families[p.name])
    ]
    return Models(able, toolchain, folder)
