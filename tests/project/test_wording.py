"""The one helper through which every stranger's text goes before a person sees it."""

from __future__ import annotations

import pytest

from r2b_edge.wording import printable


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("units.0.conv", None, "units.0.conv"),
        ("a\x1b[31m\u202eb\n", None, "a\\x1b[31m\\u202eb\\n"),
        ("\ud7ff\udcff", None, "\\ud7ff\\udcff"),  # no character, and half of one
        ("x" * 10, 10, "x" * 10),
        ("x" * 11, 10, "x" * 7 + "..."),
        ("\n" * 5, 10, "\\n" * 5),
        ("\n" * 6, 10, "\\n\\n\\n\\..."),
        ("\n" * 10**6, 10, "\\n\\n\\n\\..."),
        ("", 3, ""),
    ],
)
def test_printable(text: str, limit: int | None, shown: str) -> None:
    assert printable(text, limit) == shown
    assert printable(text, limit).isprintable()
