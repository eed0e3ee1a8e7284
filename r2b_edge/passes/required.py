"""What must be binary in a network before it is exported."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.graph.findings import LayerFinding

SHOWN = 8
"""Layers that a message names."""
INSPECT = "`r2b-edge inspect` shows every layer"


def require_binary(findings: Sequence[LayerFinding], wanted: int | str | None = None) -> None:
    """Refuse a network in which too little was found to be binary; one without any binary layer always.

    Args:
        findings: of all its layers.
        wanted: how many must be binary, or a pattern (see fnmatch): all whose name matches.

    Raises:
        UnsupportedError: names the layers and says why each is not.
        InputError: no layer's name matches the pattern.
    """
    if not any(finding.binary for finding in findings):
        raise _none(findings)
    if isinstance(wanted, str):
        matching = [f for f in findings if fnmatchcase(f.name, wanted)]
        if not matching:
            names = ", ".join(repr(f.name) for f in findings[:SHOWN])
            raise InputError(
                f"--require-binary {wanted!r} matches no layer",
                f"the layers are called {names}{' ...' if len(findings) > SHOWN else ''}",
            )
        lacking = [f for f in matching if not f.binary]
        if lacking:
            raise UnsupportedError(
                f"--require-binary {wanted!r}: {len(lacking)} of {len(matching)} layers are not binary: "
                f"{_listed(lacking)}",
                INSPECT,
            )
    elif wanted is not None and sum(f.binary for f in findings) < wanted:
        lacking = sorted((f for f in findings if not f.binary), key=lambda f: not f.suspect)
        rest = f"; not binary: {_listed(lacking)}" if lacking else ""
        raise UnsupportedError(
            f"--require-binary {wanted}: {len(findings) - len(lacking)} of {len(findings)} layers are binary{rest}",
            INSPECT,
        )


def _none(findings: Sequence[LayerFinding]) -> UnsupportedError:
    """Says of the first layer with a chance why it is not binary."""
    layers = [f for f in findings if f.kind == "FloatConv"] or findings
    telling = [f for f in layers if "its input is real" not in f.reason] or layers
    detail = f"; {telling[0].name!r}: {telling[0].reason}" if telling else ""
    return UnsupportedError(
        f"the model has no binary layer among {len(findings)} Conv, Gemm and MatMul{detail}",
        f"both the weights and the inputs of a layer must be binarised in forward(); {INSPECT}",
    )


def _listed(findings: Sequence[LayerFinding]) -> str:
    named = ", ".join(f"{f.name!r} ({f.reason})" for f in findings[:SHOWN])
    more = len(findings) - SHOWN
    return f"{named} and {more} more" if more > 0 else named
