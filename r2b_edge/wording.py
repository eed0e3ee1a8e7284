"""Text of strangers, made fit for a terminal, a page and a one-line message: names of models, words of tools."""

from __future__ import annotations


def printable(text: str, limit: int | None = None) -> str:
    """The text with control characters, line breaks and direction overrides as visible escapes.

    A terminal obeys escape sequences and a page obeys direction overrides: a name must do neither.

    Args:
        text: anything.
        limit: the most characters of the result, at least 3; "..." ends one that was cut. None: all.
    """
    shown = text if limit is None else text[: limit + 1]  # the rest is never seen
    if not shown.isprintable():
        shown = "".join(
            c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown
        )
    return shown if limit is None or len(shown) <= limit else shown[: limit - 3] + "..."
