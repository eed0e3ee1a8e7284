"""Stage 7: the typed report, and its terminal, JSON and HTML forms.

pydantic, jinja2 and rich come with this import: a command imports it when it runs, not when it is defined.
"""

from __future__ import annotations

from r2b_edge.report.files import HTML_NAME, JSON_NAME, read, write
from r2b_edge.report.html import to_html
from r2b_edge.report.model import (
    Build,
    Check,
    Effect,
    ExecutorCheck,
    Executors,
    FlippedBits,
    Instructions,
    Layer,
    Memory,
    Model,
    Report,
    Skipped,
    Speed,
    Step,
    TensorCheck,
    TensorInfo,
    Tool,
)
from r2b_edge.report.terminal import print_report

__all__ = [
    "HTML_NAME",
    "JSON_NAME",
    "Build",
    "Check",
    "Effect",
    "ExecutorCheck",
    "Executors",
    "FlippedBits",
    "Instructions",
    "Layer",
    "Memory",
    "Model",
    "Report",
    "Skipped",
    "Speed",
    "Step",
    "TensorCheck",
    "TensorInfo",
    "Tool",
    "print_report",
    "read",
    "to_html",
    "write",
]
