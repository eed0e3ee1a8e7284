"""What cannot fit is refused before it is built, to the byte, with the sums."""

from __future__ import annotations

from dataclasses import replace

import pytest

from r2b_edge import targets
from r2b_edge.errors import MismatchError, ToolMissingError
from r2b_edge.exporters.c import Program, ProgramStep, ProgramTensor
from r2b_edge.exporters.c.layout import NHWC
from r2b_edge.graph.graph import TensorType
from r2b_edge.targets import Target
from r2b_edge.toolchain.budget import UNLIMITED, Budget, peak_step, refuse_excess, refuse_linked


def step(
    index: int, reads: str, writes: str, works: tuple[tuple[int, int], ...] = ()
) -> ProgramStep:
    return ProgramStep(
        index=index, kernel="map", function="map", struct="r2b_map", layer=f"layer{index}", nodes=(),
        inputs=tuple(reads), outputs=tuple(writes), title="", fields={}, epilogue=(), pixels=1, channels=1,
        constants=(), works=works,
    )  # fmt: skip


def program(
    steps: list[ProgramStep], places: dict[str, tuple[int, int]], weights: int = 0
) -> Program:
    """A program whose tensors lie at `places`: offset and bytes."""
    tensors = tuple(
        ProgramTensor(n, n, TensorType((1, 1)), NHWC, offset, size, i)
        for i, (n, (offset, size)) in enumerate(places.items())
    )
    return Program(
        name="net", steps=tuple(steps), tensors=tensors, constants=(), inputs=("a",), outputs=(steps[-1].outputs[0],),
        arena_bytes=max(o + s for o, s in places.values()), arena_bound_bytes=0, arena_alignment=16,
        weight_bytes=weights, sources=(), provenance={}, hash=b"",
    )  # fmt: skip


def board(flash: int, ram: int, stack: int) -> Target:
    target = targets.load("stm32f100")
    sizes = {"flash": flash, "ram": ram}
    memory = tuple(m.model_copy(update={"bytes": sizes[m.name]}) for m in target.memory)
    return target.model_copy(update={"memory": memory, "stack_bytes": stack})


NET = program(
    [step(0, "a", "b"), step(1, "b", "c")], {"a": (0, 40), "b": (40, 60), "c": (0, 8)}, weights=1000
)


def test_what_just_fits_passes() -> None:
    refuse_excess(NET, board(1000, 100 + 16, 16), UNLIMITED)
    refuse_excess(NET, board(10_000, 10_000, 16), Budget(flash=1000, ram=100))
    refuse_excess(NET, targets.load("host"), UNLIMITED)


@pytest.mark.parametrize(
    ("target", "budget", "said"),
    [
        (
            board(999, 10_000, 16),
            UNLIMITED,
            "'net' does not fit stm32f100: 1,000 bytes of constants exceed its 999 of flash; take a smaller",
        ),
        (
            board(10_000, 115, 16),
            UNLIMITED,
            "'net' does not fit stm32f100: 100 bytes of arena, filled by 'layer0' (step 0), + 16 of stack = 116"
            " exceed its 115 of ram; take a smaller",
        ),
        (
            board(10_000, 10_000, 16),
            Budget(flash=999),
            "1,000 bytes of constants exceed --max-flash 999",
        ),
        (
            board(10_000, 10_000, 16),
            Budget(ram=99),
            "100 bytes of arena, filled by 'layer0' (step 0), exceed --max-ram 99",
        ),
        (
            board(999, 115, 16),
            Budget(999, 99),
            "of flash; 1,000 bytes of constants exceed --max-flash 999; 100 bytes of arena",
        ),
    ],
)
def test_one_byte_too_much(target: Target, budget: Budget, said: str) -> None:
    with pytest.raises(MismatchError) as caught:
        refuse_excess(NET, target, budget)
    assert said in str(caught.value)
    assert caught.value.exit_code == 1


def test_linux_keeps_no_stack_free() -> None:
    target = targets.load("rpi4")
    memory = (target.memory[0].model_copy(update={"bytes": 99}),)
    with pytest.raises(MismatchError, match=r"\(step 0\), exceed its 99 of ram"):
        refuse_excess(
            replace(NET, weight_bytes=99), target.model_copy(update={"memory": memory}), UNLIMITED
        )


def test_the_peak_counts_what_waits_and_workspaces() -> None:
    # a waits for step 2; step 1 keeps a, b and c: 100. Step 2 writes d in place of a, and has 30 of workspace.
    places = {"a": (0, 40), "b": (40, 20), "c": (60, 40), "d": (0, 40)}
    steps = [step(0, "a", "b"), step(1, "b", "c"), step(2, "ac", "d", ((100, 19),))]
    assert peak_step(program(steps, places)).index == 1
    steps[2] = step(2, "ac", "d", ((100, 21),))
    assert peak_step(program(steps, places)).index == 2


def test_a_result_in_place_counts_once() -> None:
    places = {"a": (0, 40), "b": (0, 40), "c": (40, 41)}
    assert peak_step(program([step(0, "a", "b"), step(1, "b", "c")], places)).index == 1


def test_the_linked_model_is_held_against_the_budget() -> None:
    refuse_linked(1000, 100, Budget(1000, 100), "")
    refuse_linked(None, None, UNLIMITED, "not built")
    with pytest.raises(MismatchError, match=r"takes 1,001 bytes of flash, --max-flash is 1,000"):
        refuse_linked(1001, 100, Budget(1000, 100), "")
    with pytest.raises(MismatchError, match=r"takes 101 bytes of RAM, --max-ram is 100"):
        refuse_linked(1000, 101, Budget(1000, 100), "")
    with pytest.raises(
        ToolMissingError, match="--max-ram cannot be checked: qemu is not installed"
    ):
        refuse_linked(1000, None, Budget(1000, 100), "qemu is not installed")
