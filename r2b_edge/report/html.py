"""report.html: one page that stands alone, without a script or anything from elsewhere."""

from __future__ import annotations

import functools
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from r2b_edge.report import page, summary, text, words
from r2b_edge.report.charts import WIDTH
from r2b_edge.report.model import Report


def to_html(report: Report) -> str:
    """The page as text: the same report gives the same bytes. Every name in it is escaped."""
    style = files("r2b_edge.report").joinpath("report.css").read_text("utf-8")
    spans, pieces = page.pieces(report)
    return _template().render(
        style=Markup(style),  # noqa: S704 (our own file, and nothing of a model's in it)
        width=f"{WIDTH:.0f}",
        report=report,
        text=text,
        executor_titles=words.EXECUTORS,
        inputs_line=summary.inputs_line(report),
        verdict=summary.verdict(report.check),
        effect=summary.effect_line(report.check),
        macs=summary.mac_share(report),
        bytes=summary.byte_share(report),
        instructions=summary.instruction_share(report),
        figures=page.figures(report),
        sizes=page.sizes(report),
        ram=page.ram(report),
        memory_rows=page.memory_by_layer(report),
        instruction_rows=page.instructions_by_layer(report),
        piece_spans=spans,
        pieces=pieces,
        groups=page.groups(report),
        comparisons=page.comparisons(report),
        measurements=page.measurements(report),
        kinds=page.kinds_used(report),
    )


@functools.cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page_file = files("r2b_edge.report").joinpath("report.html.j2")
    return environment.from_string(page_file.read_text("utf-8"))
