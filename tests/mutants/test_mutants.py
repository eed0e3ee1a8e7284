"""Known bugs, each planted alone: `check` with its default samples must find every one, and where it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from bench import Bench
from in_c import KERNELS
from in_generated import GENERATED
from in_lut4 import LUT4
from in_mve import MVE
from in_python import SHARED, TO_C, TO_TFLITE
from in_tasks import TASKS
from mutant_nets import FAMILIES, NETS
from planting import Mutant, plant

MUTANTS = (*KERNELS, *LUT4, *MVE, *TASKS, *GENERATED, *TO_C, *TO_TFLITE, *SHARED)
MINIMUM = 100


def test_there_are_enough_and_all_differ() -> None:
    assert len(MUTANTS) >= MINIMUM
    assert max(Counter((m.name, m.executor) for m in MUTANTS).values()) == 1


@pytest.mark.parametrize(
    ("net", "executor"),
    [*((n, e) for n in NETS if n not in FAMILIES for e in ("graph", "tflite", "c")),
     *((n, "c") for n in FAMILIES)],
)  # fmt: skip
def test_the_networks_are_exact_without_a_bug(
    net: str, executor: str, bench: Callable[[str], Bench], request: pytest.FixtureRequest
) -> None:
    if executor == "tflite":
        request.getfixturevalue("require_lce")
    assert bench(net).fault(executor) == ("", ())


@pytest.mark.parametrize(
    "mutant",
    MUTANTS,
    ids=lambda m: f"{m.executor}-{m.name}".replace(" ", "_"),
)
def test_a_bug_is_found(
    mutant: Mutant,
    bench: Callable[[str], Bench],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if mutant.executor == "tflite":
        request.getfixturevalue("require_lce")
    made = bench(mutant.net)
    if not isinstance(mutant.place, str):
        plant(mutant, monkeypatch)
    fault, nodes = made.fault(mutant.executor, mutant)
    assert fault.startswith(f"{mutant.executor}: ")
    if mutant.at:
        assert mutant.at in nodes, fault
    else:
        assert "the whole run differs from its own steps" in fault
