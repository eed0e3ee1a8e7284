"""The executor around LCE's interpreter, and the registry of emitters."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from tflite_nets import Net, signs

from r2b_edge import ops
from r2b_edge.checking.lce import LceExecutor, load, store
from r2b_edge.errors import InputError, ToolMissingError
from r2b_edge.exporters.tflite.convert import convert
from r2b_edge.exporters.tflite.model import TfliteTensor
from r2b_edge.exporters.tflite.registry import EMITTERS
from r2b_edge.ops import Sigmoid


def test_every_op_that_the_passes_leave_has_an_emitter() -> None:
    classes = {getattr(ops, name) for name in ops.__all__}
    real = {c for c in classes if issubclass(c, ops.Op)} - {ops.Op, ops.Elementwise}
    assert set(EMITTERS) == real


def test_reason_without_lce(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n.startswith("larq") else find(n, *a)
    )
    reason = LceExecutor.available()
    assert reason is not None
    assert "not installed" in reason
    net = Net((1, 4))
    with pytest.raises(ToolMissingError, match="not installed"):
        LceExecutor(convert(net.done(net.add(Sigmoid(), "x0"))))


def test_reason_with_numpy_2(lce: type[LceExecutor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "__version__", "2.1.0")
    assert "numpy below 2" in str(lce.available())


@pytest.mark.parametrize("shape", [(2, 40, 3, 5), (2, 40)])
def test_layout_round_trip(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(40)
    bits = signs(random, *shape)
    where = TfliteTensor(0, (1, *shape[1:]), "bits")
    assert store(where, bits).shape == (2, *shape[2:], 2)
    np.testing.assert_array_equal(load(where, store(where, bits)), bits)
    whole = random.integers(-(2**20), 2**20, shape).astype(np.int32)
    where = TfliteTensor(0, (1, *shape[1:]), "int32")
    np.testing.assert_array_equal(load(where, store(where, whole)), whole)


def test_a_dot_product_that_is_no_integer_never_passes() -> None:
    where = TfliteTensor(0, (1, 2), "int32")
    stored = np.array([[3.0, 2.5]], np.float32)
    np.testing.assert_array_equal(load(where, stored), [[3, np.iinfo(np.int32).min]])


def test_a_file_that_lce_cannot_run_is_the_files_fault(lce: type[LceExecutor]) -> None:
    one, two = Net((1, 4)), Net((1, 4))
    foreign = convert(one.done(one.add(Sigmoid(), "x0"))).data
    model = convert(two.done(two.add(Sigmoid(), two.add(Sigmoid(), "x0"))))
    executor = lce(
        model, foreign
    )  # well formed, but it has one operator, and the model's map says two
    with pytest.raises(InputError, match=r"model\.tflite is damaged"):
        executor.run_step(1, {model.steps[1].inputs[0]: np.zeros((1, 4), np.float32)})
