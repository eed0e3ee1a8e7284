"""Random whole networks through every executor: the graph's interpreter, TFLite in LCE, C with sanitizers and in QEMU.

`make soak` does the same for as long as wanted, on other seeds.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from r2b_edge.errors import UnsupportedError
from r2b_edge.exporters.c import Program
from r2b_edge.graph.graph import Graph
from r2b_edge.pipeline import Storage, program_of
from r2b_edge.targets import Target

from . import compare, kept, spec
from .compare import REFUSALS, Bench, Outcome, ties_allowed
from .draw import draw
from .programs import MACHINES
from .shrink import BATCH, candidates, shrink

SEED = 20
COUNT = 240
LEAST_STREAMS = 10
LEAST_CUT = 100
TORCH_COUNT = 8
CASES = kept.load()


@pytest.fixture(scope="module")
def bench(
    tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[..., None], require_lce: None
) -> Bench:
    require_tool(*(tool for machine in MACHINES for tool in machine.tools))
    return Bench(tmp_path_factory.mktemp("random-nets"))


@pytest.fixture(scope="module")
def outcomes(bench: Bench) -> list[Outcome]:
    specs = draw(COUNT, SEED)
    found = []
    for start in range(0, len(specs), BATCH):
        found += bench.compare(specs[start : start + BATCH])
    return found


@pytest.fixture(scope="module")
def again(bench: Bench) -> dict[str, list[Outcome]]:
    """The kept networks, each with every list of kernel families: a network's place in its batch decides on that."""
    turns = max(len(machine.turns()) for machine in MACHINES)
    found: dict[str, list[Outcome]] = {}
    for names in batched([*CASES], BATCH // turns):
        outcomes = bench.compare([CASES[name] for name in names for _ in range(turns)])
        found |= {name: outcomes[i * turns : (i + 1) * turns] for i, name in enumerate(names)}
    return found


def batched(names: Sequence[str], size: int) -> list[Sequence[str]]:
    return [names[start : start + size] for start in range(0, len(names), size)]


@pytest.mark.slow
def test_every_network_is_exact_in_every_executor(outcomes: list[Outcome]) -> None:
    bad = next((o for o in outcomes if o.faults), None)
    assert bad is None, f"{bad.spec.to_json()}\n" + "\n".join(bad.faults)


@pytest.mark.slow
def test_the_networks_are_many_and_compared(outcomes: list[Outcome]) -> None:
    compared = [o for o in outcomes if not o.refused]
    assert len(outcomes) == COUNT
    assert len(compared) >= 0.9 * COUNT, Counter(o.refused for o in outcomes)
    assert {o.refused for o in outcomes} <= {"", *REFUSALS.values()}
    # Four executors, each with at least a step in which there is at least a tensor.
    assert all(o.tensors >= 4 for o in compared)
    bits, ties = sum(o.bits for o in compared), sum(o.ties for o in compared)
    assert ties <= ties_allowed(bits)


@pytest.mark.slow
def test_the_networks_hold_everything(outcomes: list[Outcome]) -> None:
    """Each kind of block, and each value of its fields that are no numbers, occurs in networks that were compared.

    Kept networks count: they are compared by the test below.
    """
    specs = [*(o.spec for o in outcomes if not o.refused), *CASES.values()]
    blocks = [b for one in specs for b in one.blocks]
    assert {type(b) for b in blocks} == set(spec.KINDS.values()) - {spec.Windowed}
    for kind in ("sign", "estimator", "alpha", "border", "groups", "gain"):
        drawn = {getattr(b, kind) for b in blocks if isinstance(b, spec.Binary)}
        assert len(drawn) >= 3, kind
    assert sum(o.spec.exact for o in outcomes) >= len(outcomes) / 4
    assert sum(o.streams for o in outcomes) >= LEAST_STREAMS
    assert sum(o.cut for o in outcomes) >= LEAST_CUT
    assert sum(o.spec.half for o in outcomes) >= len(outcomes) / 20
    assert sum(o.spec.uint8 for o in outcomes) >= len(outcomes) / 20
    assert sum(o.integers > 0 for o in outcomes) >= len(outcomes) / 50


@pytest.mark.parametrize("name", CASES)
def test_a_network_that_failed_once(name: str, again: dict[str, list[Outcome]]) -> None:
    for outcome in again[name]:
        assert not outcome.faults
        assert not outcome.refused


def test_a_spec_survives_its_file() -> None:
    specs = draw(100, SEED)
    assert len(set(specs)) == 100
    assert [spec.from_json(net.to_json()) for net in specs] == specs


@pytest.mark.slow
def test_through_torch_and_the_front_end(bench: Bench) -> None:
    from .torch_net import built_by_torch

    outcomes = bench.compare(draw(TORCH_COUNT, SEED), built_by_torch)
    bad = next((o for o in outcomes if o.faults), None)
    assert bad is None, f"{bad.spec.to_json()}\n" + "\n".join(bad.faults)
    assert sum(not o.refused for o in outcomes) >= TORCH_COUNT / 2


@pytest.mark.parametrize("plant", ["wrong values", "too small an arena"])
def test_a_bad_program_is_blamed_alone(
    plant: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that dies: the programs that come after it in the same executable are compared all the same."""

    def planted(graph: Graph, board: Target, name: str, *rest: str, **options: Any) -> Program:
        program = program_of(graph, board, name, *rest, **options)
        if name != "net1":
            return program
        if plant == "too small an arena":
            return dataclasses.replace(program, arena_bytes=program.arena_bytes - 16)
        doubled = [dataclasses.replace(c, array=2 * c.array) for c in program.constants]
        return dataclasses.replace(program, constants=tuple(doubled))

    monkeypatch.setattr(compare, "program_of", planted)
    net = spec.Net(shape=(3, 4, 4), blocks=(spec.Binary(channels=2), spec.Norm()))
    first, second, third = bench.compare([net, net, net])
    assert first.faults == third.faults == []
    blamed = {fault.split(":")[0] for fault in second.faults}
    if plant == "wrong values":
        assert blamed == {"c-host", "c-qemu"}
    else:
        assert "AddressSanitizer: heap-buffer-overflow" in second.faults[0]
        assert blamed >= {"c-host"}


def test_what_is_refused_for_an_unknown_reason_is_a_fault(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, name: str, storage: Storage) -> Graph:
        raise UnsupportedError("no")

    monkeypatch.setattr(compare, "graph_of", refuse)
    (outcome,) = bench.compare([spec.Net()])
    assert outcome.faults == ["prepared: refused: no"]


def test_shrinking_keeps_what_fails() -> None:
    net = next(n for n in draw(50, 3) if sum(isinstance(b, spec.Binary) for b in n.blocks) > 1)
    assert all(c != net for c in candidates(net))

    def fails(nets: Sequence[spec.Net]) -> list[bool]:
        return [any(isinstance(b, spec.Binary) and b.channels >= 2 for b in n.blocks) for n in nets]

    small = shrink(net, fails, rounds=500)
    assert small == spec.Net(
        shape=(1,) * len(net.shape), exact=net.exact, blocks=(spec.Binary(channels=2),)
    )


def test_cases_are_named_by_their_content(tmp_path: Path) -> None:
    path = kept.save(spec.Net(), tmp_path)
    assert spec.from_json(path.read_text()) == spec.Net()
    assert kept.save(spec.Net(), tmp_path) == path
