"""The arena: nothing that is alive together overlaps, and the bound is a bound."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2b_edge.exporters.c import build_program
from r2b_edge.exporters.c.plan import Buffer, Takeover, plan, share

from .harness import Target
from .nets import real_to_binary


@st.composite
def buffers(draw: st.DrawFn) -> list[Buffer]:
    lives = st.tuples(st.integers(1, 5000), st.integers(-1, 20), st.integers(0, 8))
    drawn = draw(st.lists(lives, min_size=1, max_size=24))
    return [
        Buffer(f"b{i}", size, first, first + length)
        for i, (size, first, length) in enumerate(drawn)
    ]


@given(buffers(), st.sampled_from([16, 64]))
def test_live_buffers_never_overlap(items: list[Buffer], alignment: int) -> None:
    result = plan(items, alignment)
    for a, b in combinations(items, 2):
        if a.first <= b.last and b.first <= a.last:
            start, end = sorted([a, b], key=lambda x: result.offsets[x.name])
            assert result.offsets[start.name] + start.bytes <= result.offsets[end.name]
    for item in items:
        assert result.offsets[item.name] % alignment == 0
        assert result.offsets[item.name] + item.bytes <= result.bytes
    alive = [sum(b.bytes for b in items if b.first <= m <= b.last) for m in range(-1, 30)]
    assert max(alive) <= result.bound <= result.bytes


@given(buffers(), st.randoms(use_true_random=False))
def test_the_order_of_the_buffers_does_not_matter(items: list[Buffer], random: object) -> None:
    shuffled = list(items)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert plan(items, 16) == plan(shuffled, 16)


def test_one_after_the_other_shares() -> None:
    result = plan([Buffer("a", 100, 0, 1), Buffer("b", 50, 1, 2), Buffer("c", 100, 2, 3)], 16)
    assert result.bytes == result.bound == 112 + 64


def test_a_result_takes_the_place_of_an_operand_that_ends() -> None:
    items = [Buffer("x", 64, 0, 2), Buffer("y", 64, 2, 4), Buffer("z", 64, 4, 5)]
    takeovers = [Takeover(2, "y", "x"), Takeover(4, "z", "y")]
    merged, owner = share(items, takeovers)
    assert merged == [Buffer("x", 64, 0, 5)]
    assert owner == {"x": "x", "y": "x", "z": "x"}


@pytest.mark.parametrize(
    ("operand", "result"),
    [
        (Buffer("x", 64, 0, 3), Buffer("y", 64, 2, 4)),  # still needed
        (Buffer("x", 32, 0, 2), Buffer("y", 64, 2, 4)),  # too small
    ],
)
def test_no_takeover(operand: Buffer, result: Buffer) -> None:
    merged, _ = share([operand, result], [Takeover(2, "y", "x")])
    assert merged == [operand, result]


def test_a_smaller_result_leaves_the_rest_free() -> None:
    items = [Buffer("x", 64, 0, 2), Buffer("y", 32, 2, 4), Buffer("z", 16, 4, 6)]
    merged, _ = share(items, [Takeover(2, "y", "x"), Takeover(4, "z", "y")])
    assert merged == [Buffer("x", 64, 0, 6, ((3, 32), (5, 16)))]
    assert [merged[0].at(moment) for moment in range(7)] == [64, 64, 64, 32, 32, 16, 16]
    result = plan([*merged, Buffer("a", 32, 3, 4), Buffer("b", 48, 5, 6)], 16)
    assert result.bytes == result.bound == 64
    assert result.offsets == {"x": 0, "a": 32, "b": 16}


def test_an_operand_is_taken_over_once() -> None:
    items = [Buffer("x", 64, 0, 2), Buffer("y", 64, 2, 4), Buffer("z", 64, 2, 5)]
    merged, owner = share(items, [Takeover(2, "y", "x"), Takeover(2, "z", "x")])
    assert owner == {"x": "x", "y": "x", "z": "z"}
    assert merged == [Buffer("x", 64, 0, 4), Buffer("z", 64, 2, 5)]


def test_a_net_reaches_the_bound() -> None:
    program = build_program(real_to_binary(channels=64, units=4, size=32), Target(), "net", {})
    assert program.arena_bytes == program.arena_bound_bytes
