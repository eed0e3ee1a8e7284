"""Figures and names as people read them; the terminal and the page say the same thing in the same words.

Names come from strangers' models: `printable` is for every name that reaches a terminal or a page.
"""

from __future__ import annotations

from collections.abc import Iterable

from r2b_edge.wording import printable

__all__ = [
    "UNKNOWN", "count", "error", "exact", "nanoseconds", "percent", "plural", "printable", "shape", "shorten", "size",
    "times", "tolerance",
]  # fmt: skip

UNKNOWN = "not measured"


def shorten(name: str, width: int) -> str:
    """At most `width` characters of a name, printable: its middle is left out, since both ends tell it apart."""
    name = printable(name)
    if len(name) <= width:
        return name
    head = (width - 1) // 2
    return name[:head] + "…" + name[len(name) - (width - 1 - head) :]


def exact(n: int | None) -> str:
    """1234567 -> `1,234,567`."""
    return UNKNOWN if n is None else f"{n:,}"


def count(n: float | None) -> str:
    """Three significant digits: 1234567 -> `1.23 M`."""
    return UNKNOWN if n is None else _scaled(n, 1000, ("", " k", " M", " G", " T"))


def size(n: int | None) -> str:
    """Bytes, three significant digits: 1536 -> `1.50 KiB`."""
    return UNKNOWN if n is None else _scaled(n, 1024, (" B", " KiB", " MiB", " GiB", " TiB"))


def nanoseconds(n: float) -> str:
    """1234567 -> `1.23 ms`."""
    return _scaled(n, 1000, (" ns", " µs", " ms", " s"))


def percent(fraction: float | None) -> str:
    """One decimal; only what is all or nothing is shown as 100% or 0%."""
    if fraction is None:
        return UNKNOWN
    if 0 < fraction < 0.0005:
        return "<0.1%"
    if 0.9995 <= fraction < 1:
        return ">99.9%"
    return f"{fraction:.0%}" if fraction in (0, 1) else f"{fraction:.1%}"


def times(ratio: float | None) -> str:
    """24.317 -> `24.3×`."""
    return UNKNOWN if ratio is None else f"{ratio:.1f}×"


def error(value: float | None) -> str:
    """An absolute error, two significant digits: `3.8e-6`; None means that an output is not finite."""
    return "not finite" if value is None else _power(value, 1)


def tolerance(value: float) -> str:
    """A relative tolerance, one significant digit: `1e-5`."""
    return _power(value, 0)


def shape(dims: Iterable[int]) -> str:
    """(1, 3, 32, 32) -> `1×3×32×32`; () -> `scalar`."""
    return "×".join(str(d) for d in dims) or "scalar"


def plural(n: int, noun: str) -> str:
    """`1 step`, `12 steps`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _power(value: float, digits: int) -> str:
    if not value:
        return "0"
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _scaled(n: float, base: int, units: tuple[str, ...]) -> str:
    power = 0
    # What would round to a full unit of the next power is shown in that one: 999,999 is 1.00 M, not 1000 k.
    while n >= base - 0.5 and power + 1 < len(units):
        n, power = n / base, power + 1
    if power == 0 and n == int(n):
        return f"{int(n)}{units[0]}"
    digits = 2 if n < 9.995 else 1 if n < 99.95 else 0
    return f"{n:.{digits}f}{units[power]}"
