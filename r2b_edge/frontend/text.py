"""Words of strangers and of libraries, made fit for a one-line message."""

from __future__ import annotations

from r2b_edge.wording import printable

__all__ = ["first_line", "last_line", "printable", "reason"]

LIMIT = 300


def last_line(text: str) -> str:
    """The last line that says something: where Python and C libraries put the reason."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return printable(lines[-1], LIMIT) if lines else "no message"


def first_line(text: str) -> str:
    """The first line that says something: where onnx puts the reason."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return printable(lines[0], LIMIT) if lines else "no message"


def reason(error: BaseException) -> str:
    """An exception's type and the last line of its message."""
    kind = type(error).__name__
    told = last_line(str(error)) if str(error) else ""
    if told.startswith(kind):  # TorchScript repeats it
        return told
    return f"{kind}: {told}" if told else kind
