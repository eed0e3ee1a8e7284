"""Which exporters are tried for a network, in which order, and what is said when all fail."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from r2b_edge.errors import UnsupportedError
from r2b_edge.frontend.contain import ExporterFailedError
from r2b_edge.frontend.sniff import Form

_NAMES = {"dynamo": "torch.export", "script": "TorchScript"}
# Of the time left, what an exporter may use where another one waits.
_SHARE = 2 / 3

Attempt = Callable[[str, float, float], dict[str, Any]]
"""Called with an exporter, the seconds that are left, and the seconds after which the exporter is to give up."""


def exporters_of(form: Form) -> tuple[str, ...]:
    """The exporters that take a form: torch.export sees more, the older one gets through more."""
    if form is Form.ONNX:
        return ("none",)
    if form is Form.TORCHSCRIPT:
        return ("script",)
    return ("dynamo", "script")


def first_that_works(
    exporters: tuple[str, ...], attempt: Attempt, time_limit_s: float, what: str
) -> dict[str, Any]:
    """What the first exporter makes that does not fail.

    Args:
        exporters: in order.
        attempt: raises ExporterFailedError where another exporter may do.
        time_limit_s: wall-clock seconds for all of them.
        what: the model, as messages name it.

    Raises:
        UnsupportedError: all failed: tells of each why.
        R2BError: whatever else `attempt` raises.
    """
    begun = time.monotonic()
    failures: list[tuple[str, ExporterFailedError]] = []
    for exporter in exporters:
        left = time_limit_s - (time.monotonic() - begun)
        last = exporter == exporters[-1]
        try:
            made = attempt(exporter, left, left if last else left * _SHARE)
        except ExporterFailedError as error:
            failures.append((exporter, error))
            continue
        if failures:
            made["notes"].append(
                f"exported by {_NAMES[exporter]}, since {_NAMES[failures[0][0]]} failed: {failures[0][1].message}"
            )
        return made
    if len(failures) == 1:
        raise failures[0][1]
    reasons = "; ".join(f"by {_NAMES[name]}: {error.message}" for name, error in failures)
    hints = [error.hint for _, error in failures if error.hint]
    raise UnsupportedError(
        f"{what} cannot be exported, {reasons}", hints[0] if hints else ""
    ) from failures[0][1]
