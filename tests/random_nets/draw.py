"""Specs from the strategy, for a seed."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, Phase, given, seed, settings

from .spec import Net
from .strategy import nets


def draw(count: int, from_seed: int) -> list[Net]:
    """`count` different specs; the same seed gives the same ones.

    Hypothesis likes to draw a spec again, or with little changed: at least the constants are others then.
    """
    found: dict[Net, None] = {}

    @seed(from_seed)
    @settings(
        max_examples=2 * count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(nets())
    def collect(spec: Net) -> None:
        found[spec] = None

    collect()
    return [replace(spec, seed=(from_seed << 16) + i) for i, spec in enumerate([*found][:count])]
