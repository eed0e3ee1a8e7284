"""Geometry and wording: scales, shares, and figures as people read them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2b_edge.report import charts, summary, text
from r2b_edge.report.charts import GAP, LEAST, WIDTH
from r2b_edge.report.model import ExecutorCheck, Layer, Report, Skipped


@given(st.lists(st.integers(0, 2**40), max_size=20))
def test_a_stack_fills_the_picture_without_overlap(values: list[int]) -> None:
    spans = charts.stack([(value, "x") for value in values])
    assert len(spans) == sum(value > 0 for value in values)
    for left, right in itertools.pairwise(spans):
        assert right.x - (left.x + left.width) == pytest.approx(GAP, abs=0.03)
    if spans:
        assert spans[0].x == 0
        assert spans[-1].x + spans[-1].width == pytest.approx(WIDTH, abs=0.03)
        assert min(span.width for span in spans) > LEAST / 2


@given(st.lists(st.integers(0, 2**40), max_size=6), st.integers(0, 2**40))
def test_a_chain_stays_in_the_picture(values: list[int], top: int) -> None:
    x = 0.0
    for span in charts.chain([(value, "x") for value in values], top):
        assert span.x == pytest.approx(x, abs=0.03)
        assert span.width > 0
        x = span.x + span.width
    assert x <= WIDTH + 0.03


def test_bars_are_to_scale_and_nothing_is_no_bar() -> None:
    assert charts.bar(50, 100, "x")[0].width == WIDTH / 2
    assert charts.bar(1, 10**9, "x")[0].width == LEAST
    assert charts.bar(0, 100, "x") == []


def test_the_heaviest_rows_stay_in_their_order() -> None:
    shown, rest = charts.foremost(list("abcdef"), [1, 9, 2, 9, 3, 9], 4)
    assert (shown, rest) == (list("bdef"), list("ac"))
    assert charts.foremost(list("ab"), [0, 0], 2) == (["a", "b"], [])


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (1536, "1.50 KiB"), (10_240, "10.0 KiB"),
     (862_208, "842 KiB"), (1_048_575, "1.00 MiB"), (2**31, "2.00 GiB"), (None, "not measured")],
)  # fmt: skip
def test_sizes(value: int | None, shown: str) -> None:
    assert text.size(value) == shown


def test_counts_and_shares() -> None:
    assert text.count(999) == "999"
    assert text.count(999_999) == "1.00 M"
    assert text.count(103_800_000) == "104 M"
    assert text.nanoseconds(1_234_567.0) == "1.23 ms"
    assert [text.percent(x) for x in (0.0, 1e-5, 0.5, 0.99999, 1.0, None)] == [
        "0%", "<0.1%", "50.0%", ">99.9%", "100%", "not measured",
    ]  # fmt: skip
    assert text.error(3.84e-6) == "3.8e-6"
    assert text.error(0.0) == "0"
    assert text.error(None) == "not finite"
    assert text.tolerance(1e-5) == "1e-5"
    assert text.shape(()) == "scalar"


@given(st.text(max_size=60), st.integers(3, 40))
def test_names_are_short_and_printable(name: str, width: int) -> None:
    short = text.shorten(name, width)
    assert len(short) <= width
    assert short.isprintable()


def test_a_name_keeps_both_ends() -> None:
    assert text.shorten("features.block1.conv.weight", 11) == "featu…eight"
    assert text.printable("a\x1b[31m\u202eb\n") == "a\\x1b[31m\\u202eb\\n"


def layer(part: str, weight: int, floats: int | None = None) -> Layer:
    return Layer.model_validate({
        "name": part, "kind": "k", "binary": part == "binary", "macs": 1, "weight_bytes": weight,
        "output_shape": [1], "steps": [], "float_bytes": floats, "part": part,
    })  # fmt: skip


def test_bytes_by_part_are_complete_and_the_floats_of_binary_layers_apart() -> None:
    layers = [layer("binary", 100, 20), layer("binary", 50), layer("gate", 200), layer("stem", 30)]
    parts = summary.bytes_by_part(layers)
    assert [(p.part, p.bytes, p.layers) for p in parts] == [
        ("binary", 130, 2), ("gate", 200, 1), ("stem", 30, 1), ("norm", 20, 1),
    ]  # fmt: skip


def test_the_example_adds_up(example: Report) -> None:
    parts = summary.bytes_by_part(example.layers)
    assert sum(part.bytes for part in parts) == example.memory.weight_bytes
    assert parts[0].bytes * 8 == example.model.binary_weights
    share = summary.byte_share(example)
    assert share is not None
    assert share.binary == parts[0].bytes


def test_verdicts(example: Report) -> None:
    assert example.check
    every = example.check.executors

    def state(**changes: ExecutorCheck | Skipped) -> str:
        changed = every.model_copy(update=changes)
        return summary.verdict(example.check.model_copy(update={"executors": changed})).state  # type: ignore[union-attr]

    assert isinstance(every.c, ExecutorCheck)
    inexact = every.c.model_copy(update={"steps_exact": every.c.steps - 1})
    nothing = every.c.model_copy(update={"steps": 0, "steps_exact": 0})
    skipped = Skipped(skipped="no wheel")
    assert summary.verdict(None).state == "unchecked"
    assert state() == "exact"
    assert state(tflite=skipped) == "partial"
    assert state(c=inexact) == "inexact"
    assert state(tflite=skipped, c=inexact) == "inexact"
    assert state(c=nothing) == "inexact"
    assert state(graph=skipped, tflite=skipped, c=skipped) == "unchecked"
