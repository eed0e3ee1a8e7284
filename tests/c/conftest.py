"""Fixtures of the tests of the C exporter: among them the programs of all random layers and nets, compiled once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from r2b_edge.exporters.c import Program, build_program
from r2b_edge.exporters.c.kernels import REGISTRY, Kernel
from r2b_edge.graph.graph import Graph

from .cases import NETS, layers
from .harness import TOOLCHAINS, Models, Target, Toolchain
from .watch import GUARD

Programs = dict[str, tuple[Graph, Program]]


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """True with --update-golden (declared in tests/conftest.py): write the golden files anew."""
    return bool(request.config.getoption("--update-golden"))


def _program_of(kernel: Kernel) -> tuple[Graph, Program]:
    graph = layers(kernel, seed=REGISTRY.index(kernel))
    target = Target(families=tuple(dict.fromkeys([kernel.family, "portable"])))
    others = [k for k in REGISTRY if k != kernel]
    name = f"layers_{kernel.name}"
    return graph, build_program(graph, target, name, {}, (kernel, *others), GUARD)


@pytest.fixture(scope="session")
def programs() -> Programs:
    """Random layers by their kernel's name; nets by their own, and once more as <name>_guarded: see watch.py."""
    made = {kernel.name: _program_of(kernel) for kernel in REGISTRY}
    for name, graph in NETS.items():
        made[name] = graph, build_program(graph, Target(), name, {})
        guarded = f"{name}_guarded"
        made[guarded] = graph, build_program(graph, Target(), guarded, {}, guard=GUARD)
    return made


@pytest.fixture(scope="session", params=TOOLCHAINS, ids=lambda t: t.name)
def models(
    request: pytest.FixtureRequest,
    programs: Programs,
    tmp_path_factory: pytest.TempPathFactory,
    require_tool: Callable[..., None],
) -> Models:
    """One executable with all of them, by toolchain."""
    toolchain: Toolchain = request.param
    require_tool(*toolchain.tools)
    folder = tmp_path_factory.mktemp(toolchain.name)
    return Models([program for _, program in programs.values()], toolchain, folder)
