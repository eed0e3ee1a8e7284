"""Words of strangers and of libraries, made fit for a one-line message."""

from __future__ import annotations

LIMIT = 300


def last_line(text: str) -> str:
    """The last line that says something: where Python and C libraries put the reason."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return printable(lines[-1]) if lines else "no message"


def first_line(text: str) -> str:
    """The first line that says something: where onnx puts the reason."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return printable(lines[0]) if lines else "no message"


def reason(error: BaseException) -> str:
    """An exception's type and the last line of its message."""
    return (
        f"{type(error).__name__}: {last_line(str(error))}" if str(error) else type(error).__name__
    )


def printable(text: str, limit: int = LIMIT) -> str:
    """The text without control characters, cut to `limit` characters."""
    clean = "".join(character if character.isprintable() else "?" for character in text)
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."
