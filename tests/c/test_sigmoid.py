"""The error of the runtime's sigmoid, against float64."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import r2b_edge.firmware_templates

from .harness import HERE, TOOLCHAINS, Toolchain, compile_all, run_program

KERNELS = Path(r2b_edge.firmware_templates.__file__).parent / "kernels"
ULP = 3.0
"""As r2b_epilogue.c states it."""


@pytest.fixture(scope="module", params=TOOLCHAINS, ids=lambda t: t.name)
def sigmoid(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    require_tool: Callable[..., None],
) -> Callable[[np.ndarray], np.ndarray]:
    toolchain: Toolchain = request.param
    require_tool(*toolchain.tools)
    sources = [KERNELS / "r2b_epilogue.c", HERE / "sigmoid.c"]
    program = compile_all(toolchain, sources, [KERNELS], tmp_path_factory.mktemp("sigmoid"))

    def run(x: np.ndarray) -> np.ndarray:
        return np.frombuffer(run_program(toolchain, program, x.astype("<f4").tobytes()), "<f4")

    return run


def test_error_in_ulp(sigmoid: Callable[[np.ndarray], np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [
            np.linspace(-87, 87, 100_001),
            rng.normal(size=100_000),
            rng.normal(size=50_000) * 1e-3,
            [0.0, -0.0, 1e-45, -1e-45],
        ]
    ).astype(np.float32)
    true = 1 / (1 + np.exp(-x.astype(np.float64)))
    ulp = np.spacing(true.astype(np.float32)).astype(np.float64)
    assert (np.abs(sigmoid(x) - true) / ulp).max() <= ULP


def test_ends(sigmoid: Callable[[np.ndarray], np.ndarray]) -> None:
    x = np.array([-np.inf, -3.4e38, -90, 90, 3.4e38, np.inf], np.float32)
    y = sigmoid(x)
    assert (y[:3] > 0).all()
    assert (y[:3] < 2e-38).all()
    assert (y[3:] == 1).all()
    assert np.isnan(sigmoid(np.array([np.nan], np.float32))).all()
