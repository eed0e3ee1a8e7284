"""The page and the terminal: safe with hostile names, honest about what is unknown, readable at every width."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from rich.console import Console

from r2b_edge.report import (
    Effect,
    ExecutorCheck,
    FlippedBits,
    Report,
    Skipped,
    TensorCheck,
    print_report,
    to_html,
)
from r2b_edge.report.charts import MOST_ROWS

HOSTILE = (
    "<script>alert(1)</script>\"' onload='x' ]]> --> </style></title>&amp; \x1b[2J\u202e{{ 7*7 }}"
)
VOID = {"meta", "rect", "br"}


class Page(HTMLParser):
    """Elements and attributes of a page; refuses what is not well nested."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def strings(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all strings in a report that are free text."""
    pairs = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in pairs:
        if isinstance(value, str) and key not in ENUMS:
            yield (*path, key)
        elif isinstance(value, dict | list):
            yield from strings(value, (*path, key))


ENUMS = {"sha256", "part", "flash_kind", "ram_kind", "stack_kind", "rule", "unit"}


def hostile(example: Report) -> Report:
    """The example with every free text replaced, its layers' names kept apart by a number."""
    data = json.loads(example.to_json())
    names = {layer["name"]: HOSTILE + str(i) for i, layer in enumerate(data["layers"])}
    for path in list(strings(data)):
        place = data
        for key in path[:-1]:
            place = place[key]
        speed_kind = path[0] == "speed" and path[-1] == "kind"
        if not speed_kind:
            place[path[-1]] = names.get(place[path[-1]], HOSTILE)
    data["options"] = {HOSTILE: HOSTILE}
    return Report.model_validate(data)


def unknown(example: Report) -> Report:
    data = json.loads(example.to_json())
    for key in data["memory"]:
        if key != "float32_weight_bytes":
            data["memory"][key] = None
    for layer in data["layers"]:
        layer.update(instructions=None, weight_bytes=None, float_bytes=None, float32_bytes=None)
    for step in data["steps"]:
        step.update(instructions=None, exact=None)
    data.update(check=None, speed=[], instructions=None, build=None)
    return Report.model_validate(data)


def shown(report: Report, width: int, **options: Any) -> str:
    stream = io.StringIO()
    print_report(report, Console(file=stream, width=width, **options))
    return stream.getvalue()


def test_the_page_is_well_formed_and_stands_alone(example: Report) -> None:
    page = to_html(example)
    elements = Page(page).elements
    assert "://" not in page
    assert "url(" not in page
    assert "@import" not in page
    tags = {tag for tag, _ in elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    for _, attributes in elements:
        assert not {"src", "href", "style", "xlink:href"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
    assert page.startswith("<!doctype html>")


def test_every_picture_has_a_title_and_every_table_a_caption(example: Report) -> None:
    page = to_html(example)
    assert page.count("<svg") > 50
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert re.search(r"<title>[^<]{4,}</title>", svg)
    assert page.count("<table") == page.count("<caption>")


def test_hostile_names_are_only_text(example: Report) -> None:
    plain, attacked = Page(to_html(example)), Page(to_html(hostile(example)))
    assert {tag for tag, _ in attacked.elements} <= {tag for tag, _ in plain.elements}
    known = {name for _, attributes in plain.elements for name in attributes}
    assert {name for _, attributes in attacked.elements for name in attributes} <= known
    assert "<script>alert(1)</script>" in attacked.text
    assert "{{ 7*7 }}" in attacked.text
    raw = to_html(hostile(example))
    assert "\x1b" not in raw
    assert "\u202e" not in raw
    assert "\\u202e" in raw


def test_a_long_name_is_shortened_with_its_full_form_in_a_title(example: Report) -> None:
    data = json.loads(example.to_json())
    long = "encoder." * 20 + "conv"
    data["layers"][0]["name"] = long
    for step in data["steps"]:
        step["layer"] = long if step["layer"] == "stem" else step["layer"]
    page = to_html(Report.model_validate(data))
    assert f'title="{long}"' in page
    assert f">{long}<" not in page
    assert f"{long[:16]}…" in page


def test_the_page_says_what_the_report_says(example: Report) -> None:
    page = Page(to_html(example)).text
    assert example.instructions
    for words in (
        "r2b_cifar10.pt2 on rpi4",
        "Exact in every step, on all three executors",
        f"{example.instructions.total:,}",
        "255 of 256",
        "83.2%",
        "linked",
        "painted stack",
        "emulated instructions",
        "by sum",
        "a gate rescales channels by real factors",
        "Gates",
        "Downsampling",
        "aarch64-linux-gnu-gcc 12.2.0",
        "the runtime uses the portable kernels only",
    ):
        assert words in page
    for layer in example.layers:
        assert layer.name in page
    for step in example.steps:
        assert step.kernel in page


def test_what_is_unknown_is_not_zero(example: Report) -> None:
    report = unknown(example)
    page = Page(to_html(report)).text
    assert "not measured" in page
    assert "Not checked yet" in page
    assert not re.search(r"\b0 B\b", page)
    assert "0%" not in page.replace("100%", "")
    assert "None" not in page
    text = shown(report, 80)
    assert text.count("not measured") >= 8
    assert "Not checked yet" in text
    assert "None" not in text
    assert not re.search(r"\b0 B\b", text)


def test_skipped_inexact_and_wider_are_plain_to_see(example: Report) -> None:
    assert example.check
    assert isinstance(example.check.executors.c, ExecutorCheck)
    wide = TensorCheck(
        step=1, tensor="x", rule="floats", tolerance=1e-3, exact=False, note="fp16 storage"
    )
    broken = example.check.executors.c.model_copy(update={"steps_exact": 3, "tensors": (wide,)})
    executors = example.check.executors.model_copy(
        update={"tflite": Skipped(skipped="no LCE wheel for Python 3.13"), "c": broken}
    )
    report = example.revised(check={"executors": executors})
    for view in (Page(to_html(report)).text, shown(report, 80)):
        assert "Not exact: c" in view
        assert "no LCE wheel for Python 3.13" in view
        assert "1e-3" in view
        assert "fp16 storage" in view
        assert "Exact in every step" not in view


def test_what_rounded_weights_change_is_said(example: Report) -> None:
    assert example.check
    assert "rounded weights" not in Page(to_html(example)).text
    bits = (
        FlippedBits(tensor=HOSTILE, flipped=3, of=1000),
        FlippedBits(tensor="b", flipped=4, of=200),
    )
    effect = Effect(
        samples=256, top1_agreement=255, accuracy=0.832, max_abs_error=1.5e-3, largest_output=12.0, bits=bits
    )  # fmt: skip
    report = example.revised(check=example.check.model_copy(update={"effect": effect}))
    page = Page(to_html(report)).text
    for view in (page, shown(report, 300)):
        assert "outputs differ by at most 1.5e-3, the largest is 1.2e1" in view
        assert "top-1 is the same on 255 of 256" in view
        assert "accuracy 83.2% as trained, 83.6% now" in view
        assert "7 of 1,200 bits differ" in view
    assert "with its float weights rounded as c/ stores them" in page
    assert "<script>" not in to_html(report).replace("&lt;", "")


def test_a_large_net_has_a_picture_and_not_a_wall(example: Report) -> None:
    data = json.loads(example.to_json())
    base = {**data["layers"][0], "steps": [], "instructions": None}
    data["layers"] += [{**base, "name": f"tail.{i}", "weight_bytes": 8, "float_bytes": 8,
                        "float32_bytes": 8} for i in range(300)]  # fmt: skip
    page = to_html(Report.model_validate(data))
    chart = page[page.index("By layer") : page.index("Where the bytes are")]
    assert chart.count("<svg") == MOST_ROWS + 1
    assert f"{len(data['layers']) - MOST_ROWS} smaller layers" in chart
    assert "tail.299" in page


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_stays_within_its_width(example: Report, width: int) -> None:
    text = shown(example, width)
    assert max(len(line) for line in text.splitlines()) <= width
    for row in (
        r"flash +861 KiB +linked",
        r"c +56/56 +255/256 +83\.2% +4\.1e-1 +3",
        r"stem +float +1\.12 M +11\.0%",
        r"stages\.2\.0\.downsample +float +130 KiB +15\.4%",
        r"MACs +104 M +1\.57 M +98\.5% binary",
        r"10,127,850",
    ):
        assert re.search(row, text), row
    # Nothing but the line of the counter, which is a sentence, is wrapped at 80 columns.
    assert len(text.splitlines()) - len(shown(example, 300).splitlines()) <= 1


def test_no_colour_where_none_is_wanted(example: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    plain = shown(example, 80, force_terminal=True, color_system="standard")
    monkeypatch.delenv("NO_COLOR")
    coloured = shown(example, 80, force_terminal=True, color_system="standard")
    colour = re.compile(r"\x1b\[(?:\d+;)*3[0-7]m")
    assert not colour.search(plain)
    assert colour.search(coloured)


def test_a_terminal_obeys_no_name(example: Report) -> None:
    text = shown(hostile(example), 100)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<script>" in text
    markup = example.revised(notes=["[bold red]x[/] :smile:"])
    assert "[bold red]x[/] :smile:" in shown(markup, 100)
