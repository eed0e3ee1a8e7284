"""Selection of ops with several inputs, and of functions that an epilogue calls by name."""

from __future__ import annotations

import numpy as np
import pytest

from r2b_edge.exporters.c import Program, build_program
from r2b_edge.exporters.c.program import ProgramStep
from r2b_edge.graph.graph import Graph
from r2b_edge.ops import (
    Add,
    ChannelAffine,
    Concat,
    ConstantMap,
    MaxPool,
    Mul,
    Pairwise,
    Select,
    Softmax,
    Staircase,
    Unary,
    Window,
)

from .harness import Builder, Target

FULL, CHANNELS, PIXELS, ONE = (1, 4, 3, 5), (1, 4), (1, 1, 3, 5), (1, 1)


def build(graph: Graph) -> Program:
    return build_program(graph, Target(), "net", {})


def only(program: Program) -> ProgramStep:
    (step,) = program.steps
    return step


def test_a_concat_reads_each_input_once_and_places_each_as_often_as_it_comes() -> None:
    b = Builder()
    x, y = b.input(*FULL), b.input(1, 2, 3, 5)
    program = build(b.done(b.add(Unary("Abs"), b.add(Concat(), x, y, x))))
    step = only(program)
    assert step.kernel == "concat_portable"
    assert step.inputs == (x, y)
    assert [t.kind for t in step.epilogue] == ["CALL", "STORE"]
    table = {c.symbol: c.array.tolist() for c in program.constants}
    assert table[str(step.fields["channels"])] == [4, 2, 4]
    offsets = [program.tensor[name].offset for name in (x, y, x)]
    assert table[str(step.fields["inputs"])] == offsets


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize(
    ("shape", "form"),
    [(FULL, "EVERYWHERE"), (CHANNELS, "BY_CHANNEL"), (PIXELS, "BY_PIXEL"), (ONE, "SINGLE")],
)
@pytest.mark.parametrize(("kind", "turned"), [("Sub", "rsub"), ("Div", "rdiv"), ("Max", "max")])
def test_a_function_of_two(
    kind: str, turned: str, shape: tuple[int, ...], form: str, swap: bool
) -> None:
    b = Builder()
    x = b.add(MaxPool(Window((1, 1))), b.input(*FULL))
    other = b.input(*shape)
    step = only(build(b.done(b.add(Pairwise(kind), *((other, x) if swap else (x, other))))))
    call, _ = step.epilogue
    assert call.fields["call"] == f"r2b_call_{turned if swap else kind.lower()}"
    assert call.fields["operand"] == f"R2B_{form}"


@pytest.mark.parametrize(("op", "name"), [(Add(), "add"), (Mul(), "mul")])
def test_sums_and_products_with_a_map_of_one_channel(op: Add | Mul, name: str) -> None:
    b = Builder()
    x = b.add(MaxPool(Window((1, 1))), b.input(*FULL))
    call, _ = only(build(b.done(b.add(op, x, b.input(*PIXELS))))).epilogue
    assert call.fields["call"] == f"r2b_call_{name}"


@pytest.mark.parametrize(
    ("shape", "form", "size"),
    [
        ((4, 3, 5), "EVERYWHERE", 60),
        ((4, 3, 1), "EVERYWHERE", 60),
        ((1, 3, 1), "BY_PIXEL", 15),
        ((4, 1, 1), "BY_CHANNEL", 4),
    ],
)
def test_a_constant_is_stored_as_small_as_it_may_be(
    shape: tuple[int, ...], form: str, size: int
) -> None:
    b = Builder()
    program = build(b.done(b.add(ConstantMap("Mul", b.floats(*shape)), b.input(*FULL))))
    call, _ = only(program).epilogue
    assert call.fields["operand"] == f"R2B_{form}"
    assert [c.array.size for c in program.constants] == [size]


def test_only_the_functions_that_are_called_are_compiled() -> None:
    b = Builder()
    plain = build(b.done(b.add(ChannelAffine(b.floats(4), b.floats(4)), b.input(*CHANNELS))))
    assert not [s for s in plain.sources if "call" in s]
    b = Builder()
    called = build(b.done(b.add(Softmax(), b.input(*CHANNELS))))
    assert [s for s in called.sources if "call" in s] == ["r2b_call_unary.c"]


def choice(b: Builder, *inputs: str) -> str:
    condition = Staircase(b.floats(4, 1), np.tile(np.float32([0, 1]), (4, 1)))
    return b.add(Select(condition), *inputs)


def test_a_choice_may_take_the_place_of_what_it_chooses_from() -> None:
    b = Builder()
    values = [b.add(MaxPool(Window((1, 1))), b.input(*FULL)) for _ in range(3)]
    y = choice(b, *values)
    program = build(b.done(b.add(MaxPool(Window((3, 3))), y)))
    assert program.tensor[y].offset in {program.tensor[name].offset for name in values}


def test_a_concat_takes_nobodys_place() -> None:
    b = Builder()
    x = b.add(MaxPool(Window((1, 1))), b.input(1, 2, 3, 5))
    y = b.add(Concat(), x, x)
    program = build(b.done(b.add(MaxPool(Window((3, 3))), y)))
    first, second = program.tensor[x], program.tensor[y]
    assert first.offset + first.bytes <= second.offset or second.offset + second.bytes <= first.offset  # fmt: skip
