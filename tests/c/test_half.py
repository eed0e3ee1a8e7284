"""Weights in half precision: every half as a float, by bit tricks and by the machines' instructions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import r2b_edge.firmware_templates
from r2b_edge.exporters.c import build_program, pack
from r2b_edge.exporters.c.render import render
from r2b_edge.ops import Dense, FloatConv, Window

from .harness import HERE, TOOLCHAINS, Builder, Target, Toolchain, compile_all, run_program

KERNELS = Path(r2b_edge.firmware_templates.__file__).parent / "kernels"


@pytest.mark.parametrize("toolchain", TOOLCHAINS, ids=lambda t: t.name)
def test_every_half_is_its_float(
    toolchain: Toolchain, tmp_path: Path, require_tool: Callable[..., None]
) -> None:
    require_tool(*toolchain.tools)
    program = compile_all(toolchain, [HERE / "half.c"], [KERNELS], tmp_path)
    got = np.frombuffer(run_program(toolchain, program, b""), "<f4")
    want = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    nan = np.isnan(want)
    assert nan.sum() == 2 * (2**10 - 1)
    assert np.isnan(got[nan]).all()
    # As bits: signs of zeros too.
    assert (got.view(np.uint32) == want.view(np.uint32))[~nan].all()


def test_weights_that_are_no_halves_are_not_stored_as_such() -> None:
    with pytest.raises(AssertionError, match="do not fit into half"):
        pack.stored(np.float32([0.1]), half=True)
    with pytest.raises(AssertionError, match="do not fit into half"), np.errstate(over="ignore"):
        pack.stored(np.float32([65520.0]), half=True)


def test_constants_in_half_take_two_bytes() -> None:
    b = Builder(0)
    x = b.add(
        FloatConv(np.float32([[[[1.5]]], [[[-0.0]]]]), b.floats(2), Window((1, 1)), half=True),
        b.input(1, 1, 1, 1),
    )
    extremes = np.float32([[6.103515625e-05, 65504.0, 5.960464477539063e-08]])
    y = b.add(Dense(extremes, b.floats(1), half=True), b.input(1, 3))
    program = build_program(b.done(x, y), Target(), "net", {})
    weights = [c.array for c in program.constants if c.array.dtype == np.float16]
    assert [w.nbytes for w in weights] == [4, 6]
    assert program.weight_bytes == 4 + 4 * 2 + 6 + 4 * 1
    text = dict(render(program, Target()))["model/net_weights.c"].decode()
    assert "const uint16_t r2b_net_step0_weights[2] = {\n    0x3e00, 0x8000,\n};" in text
    assert "    0x0400, 0x7bff, 0x0001,\n" in text
    assert [s.function for s in program.steps] == ["fconv_portable_half", "dense_portable_half"]
