"""What a layer's weights are: +-alpha per output channel, ternary, of few values, or real."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from r2b_edge.graph.findings import Weights

ALPHA_TOLERANCE = 1e-5
"""Of alpha: estimators such as alpha * sign(w) - clip(w) + clip(w) leave rounding in folded weights."""
MAX_ZERO_WEIGHTS = 1e-4
"""Of all weights: so many may be exactly 0 and count as +1, with a warning."""
TERNARY_SHARE = 0.01
"""Of all weights: more zeros than these are meant."""
MAX_VALUES = 16
"""Weights of a channel that take more values than these are real."""
USE_OPTION = (
    "weights are real, only the activation is binary: trained with binarisation in forward? "
    "use --binarize-weights"
)

Signs = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class BinaryWeights:
    """Weights [O, ...] split into signs * alpha[O], if `reason` is "".

    Args:
        signs: int8 in {-1, +1}, in the weights' shape; +1 for a weight of 0.
        alpha: float64 [O], 0 or more; 0 for a channel that is all 0.
        zeros: weights that are exactly 0 in channels that are not.
        kind: what the weights are.
        reason: why they are not binary, or "".
    """

    signs: Signs
    alpha: NDArray[np.float64]
    zeros: int
    kind: Weights
    reason: str


def split(weight: NDArray[np.float32]) -> BinaryWeights:
    """Look at weights [O, ...].

    Alpha is the median magnitude of what is not 0 in a channel. A channel of zeros has alpha 0. Single zeros among
    +-alpha count as +1, up to MAX_ZERO_WEIGHTS of all.
    """
    rows = weight.reshape(weight.shape[0], -1).astype(np.float64)
    sizes = np.abs(rows)
    middle = np.minimum(((rows == 0).sum(axis=1) + rows.shape[1]) // 2, rows.shape[1] - 1)
    alpha = np.sort(sizes, axis=1)[np.arange(len(rows)), middle]
    off = np.abs(sizes - alpha[:, None]) > ALPHA_TOLERANCE * alpha[:, None]
    zeros = (rows == 0) & (alpha[:, None] > 0)
    signs = np.where(weight < 0, -1, 1).astype(np.int8)
    other, zero = int((off & ~zeros).sum()), int(zeros.sum())
    if not other and zero <= MAX_ZERO_WEIGHTS * rows.size:
        return BinaryWeights(signs, alpha, zero, "binary", "")
    kind = _kind(rows)
    return BinaryWeights(signs, alpha, zero, kind, _reason(kind, other, zero, rows.size))


def _kind(rows: NDArray[np.float64]) -> Weights:
    """By the most values that an output channel takes, up to rounding."""
    ordered = np.sort(rows, axis=1)
    gaps = np.diff(ordered, axis=1) > ALPHA_TOLERANCE * np.abs(rows).max(axis=1, keepdims=True)
    values = 1 + int(gaps.sum(axis=1).max(initial=0))
    if values > MAX_VALUES or 2 * values > rows.shape[1]:
        return "real"  # the second: so few weights that each may be its own
    if values == 2:
        return "two values"
    has_zero = bool(((rows == 0).any(axis=1)).any())
    return "ternary" if values == 3 and has_zero else "few values"


def _reason(kind: Weights, other: int, zero: int, size: int) -> str:
    if kind == "two values":
        return "weights take two values a channel that are not ±alpha, which needs a window sum"
    if kind == "ternary" or not other:
        few = zero <= TERNARY_SHARE * size
        return f"{zero:,} of {size:,} weights are 0" + ("" if few else ": ternary")
    if 2 * other < size:
        return f"{other:,} of {size:,} weights are not ±alpha of their channel"
    return USE_OPTION if kind == "real" else "weights take more than two values a channel"
