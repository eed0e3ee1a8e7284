"""The errors of the runtime's elementary functions, against float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import r2b_edge.firmware_templates

from .harness import HERE, TOOLCHAINS, Toolchain, compile_all, run_program

KERNELS = Path(r2b_edge.firmware_templates.__file__).parent / "kernels"
RANDOM = np.random.default_rng(0)
LEAST = 1.17549435e-38
"""The least normal float32."""
FUNCTIONS = ("exp", "exp - 1", "tanh", "log", "sqrt", "softplus", "1 + erf", "round", "floor")
"""In the order of math.c."""
Run = Callable[[str, np.ndarray], np.ndarray]


@pytest.fixture(scope="module", params=TOOLCHAINS, ids=lambda t: t.name)
def run(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    require_tool: Callable[..., None],
) -> Run:
    toolchain: Toolchain = request.param
    require_tool(*toolchain.tools)
    program = compile_all(toolchain, [HERE / "math.c"], [KERNELS], tmp_path_factory.mktemp("math"))

    def run(function: str, x: np.ndarray) -> np.ndarray:
        data = np.concatenate([[FUNCTIONS.index(function)], x]).astype("<f4").tobytes()
        return np.frombuffer(run_program(toolchain, program, data), "<f4")

    return run


def around(*scales: float) -> np.ndarray:
    """Both signs, dense near each scale and below it, zero included."""
    parts = [np.linspace(-s, s, 40_001) for s in scales] + [RANDOM.normal(size=20_000) * s for s in scales]  # fmt: skip
    return np.concatenate([*parts, [0.0, -0.0, 1e-45, -1e-45]]).astype(np.float32)


def positive() -> np.ndarray:
    exponents = RANDOM.uniform(-37.9, 38.5, 40_000)
    near_one = 1 + np.linspace(-0.5, 1, 40_001)
    return np.concatenate([10.0**exponents, near_one, [LEAST, 3.4e38, 1.0]]).astype(np.float32)


CASES: dict[str, tuple[float, np.ndarray, Callable[[np.ndarray], np.ndarray]]] = {
    # function: (ulp, as r2b_math.h states it; arguments; the truth)
    "exp": (1.0, np.clip(around(88.7, 1, 1e-3), -87.3, 88.7), np.exp),
    "exp - 1": (2.0, np.clip(around(40, 1, 1e-3), -150, 88), np.expm1),
    "tanh": (4.0, around(20, 1, 1e-3), np.tanh),
    "log": (2.0, positive(), np.log),
    "sqrt": (1.0, positive(), np.sqrt),
    "softplus": (
        3.0, np.clip(around(80, 1, 1e-3), -87, 80), lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    ),
}  # fmt: skip


@pytest.mark.parametrize("function", CASES)
def test_error_in_ulp(function: str, run: Run) -> None:
    stated, x, truth = CASES[function]
    true = truth(x.astype(np.float64))
    ulp = np.spacing(np.maximum(np.abs(true), LEAST).astype(np.float32)).astype(np.float64)
    assert (np.abs(run(function, x) - true) / ulp).max() <= stated


def test_error_function(run: Run) -> None:
    x = around(12, 1, 1e-3)
    true = 1 + np.array([math.erf(v) for v in x.tolist()])
    assert np.abs(run("1 + erf", x) - true).max() <= 1e-6


def test_whole_numbers_are_exact(run: Run) -> None:
    halves = np.arange(-40, 40) / 2
    x = np.concatenate([around(3, 1e4, 1e7), halves, [8388607.5, -8388607.5, 3e9, -3e9]])
    x = x.astype(np.float32)
    np.testing.assert_array_equal(run("round", x), np.rint(x))
    np.testing.assert_array_equal(run("floor", x), np.floor(x))


ENDS: dict[str, tuple[list[float], list[float]]] = {
    "exp": ([-np.inf, -200, 89, np.inf, np.nan], [0, 0, np.inf, np.inf, np.nan]),
    "exp - 1": ([-np.inf, -100, np.nan], [-1, -1, np.nan]),
    "tanh": ([-np.inf, -50, 50, np.inf, np.nan], [-1, -1, 1, 1, np.nan]),
    "log": ([-1, 0.0, -0.0, np.inf, np.nan], [np.nan, -np.inf, -np.inf, np.inf, np.nan]),
    "sqrt": ([-1, 0.0, -0.0, np.inf, np.nan], [np.nan, 0, 0, np.inf, np.nan]),
    "softplus": ([-np.inf, -200, 200, 3e38, np.nan], [0, 0, 200, 3e38, np.nan]),
    "1 + erf": ([-np.inf, -50, 50, np.inf, np.nan], [0, 0, 2, 2, np.nan]),
    "round": ([-np.inf, np.inf, np.nan], [-np.inf, np.inf, np.nan]),
    "floor": ([-np.inf, np.inf, np.nan], [-np.inf, np.inf, np.nan]),
}


@pytest.mark.parametrize("function", ENDS)
def test_ends(function: str, run: Run) -> None:
    x, y = ENDS[function]
    np.testing.assert_allclose(run(function, np.float32(x)), y, rtol=1e-6)
