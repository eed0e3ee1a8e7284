"""`check` notices what was changed in an export: exit code 1, one line that names the place, an updated report."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_nets import fault, run, tampered_buffer

Change = Callable[[Path], object]


def _weights(out: Path) -> Path:
    (file,) = (out / "c" / "model").glob("*_weights.c")
    return file


def binary_weight(out: Path) -> None:
    """The lowest bit of the first word of binary weights."""
    text = _weights(out).read_text()
    start = re.compile(r"(const uint32_t \w+_weights\[\d+\] = \{\s*0x)([0-9a-f]{8})")
    flipped, times = start.subn(lambda m: f"{m[1]}{int(m[2], 16) ^ 1:08x}", text, count=1)
    assert times == 1
    _weights(out).write_text(flipped)


def classifier_weight(out: Path) -> None:
    """The sign of the first weight of the last float array of weights."""
    text = _weights(out).read_text()
    *_, last = re.finditer(r"const float \w+_weights\[\d+\] = \{\s*", text)
    head, tail = text[: last.end()], text[last.end() :]
    _weights(out).write_text(head + (tail[1:] if tail.startswith("-") else f"-{tail}"))


def executors(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "report.json").read_text())["check"]["executors"]
    return found


@pytest.mark.parametrize("change", [binary_weight, classifier_weight])
def test_a_weight_in_c(change: Change, exported: Path) -> None:
    change(exported)
    result = run("check", exported, "--json")
    assert result.exit_code == 1, result.stderr
    step, tensor = (2, "gemm_out") if change is classifier_weight else (1, "globalaveragepool_out")
    said = rf"c: 1 of 3 steps are not exact, first step {step}, tensor '{tensor}_\d+'"
    assert re.fullmatch(said, fault(result))
    assert json.loads(result.stdout)["check"]["executors"] == executors(exported)
    assert executors(exported)["c"]["steps_exact"] == 2
    assert executors(exported)["graph"]["steps_exact"] == executors(exported)["graph"]["steps"]
    assert [step["exact"] for step in json.loads(result.stdout)["steps"]].index(False) == step


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (r"shift", "where_out"),  # thresholds: BatchNorm folded into what is added before the sign
        (r"conv_out_\d+/filter", "conv_out"),  # binary weights
        (r"gemm_out_\d+/weight", "gemm_out"),
    ],
)
def test_a_constant_in_tflite(tensor: str, said: str, exported: Path, require_lce: None) -> None:
    tampered_buffer(exported / "model.tflite", tensor)
    result = run("check", exported)
    assert result.exit_code == 1, result.stderr
    line = rf"tflite: 1 of (\d+) steps are not exact, first step \d+, tensor '{said}_\d+'"
    assert re.fullmatch(line, fault(result))
    found = executors(exported)
    assert found["tflite"]["steps_exact"] == found["tflite"]["steps"] - 1
    assert found["c"]["steps_exact"] == found["c"]["steps"]
    assert "Not exact" in result.stdout
    assert "Not exact" in (exported / "report.html").read_text()


def test_a_fault_goes_when_the_file_is_mended(exported: Path) -> None:
    sound = _weights(exported).read_text()
    classifier_weight(exported)
    assert run("check", exported).exit_code == 1
    _weights(exported).write_text(sound)
    assert run("check", exported).exit_code == 0
    assert executors(exported)["c"]["steps_exact"] == executors(exported)["c"]["steps"]


def test_a_file_that_does_not_compile(exported: Path) -> None:
    _weights(exported).write_text(_weights(exported).read_text() + "int broken = nonsense;\n")
    before = (exported / "report.json").read_bytes()
    result = run("check", exported)
    assert result.exit_code == 2, result.stderr
    said = fault(result)
    assert said.startswith(
        f"{exported / 'c'} was changed since its export: the C project does not compile"
    )
    assert "nonsense" in said
    assert said.endswith("; export again")
    assert (exported / "report.json").read_bytes() == before


def test_our_own_c_that_does_not_compile_is_a_bug(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same that an export writes now: nobody has changed it."""
    _weights(exported).write_text("int broken = nonsense;\n")

    def write(_program: object, _board: object, folder: Path) -> None:
        shutil.copytree(exported / "c", folder)

    monkeypatch.setattr("r2b_edge.exporters.c.write", write)
    result = run("check", exported)
    assert result.exit_code == 70
    assert "does not compile" in result.stderr
    assert "this is a bug" in result.stderr


def test_weights_of_another_model(exported: Path) -> None:
    """c/ is not the program that model.onnx gives: it says so by its hash, before anything is compared."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(exported / "model.onnx")
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype == np.float32 and value.shape == (5, 8):
            tensor.CopyFrom(numpy_helper.from_array(-value, tensor.name))
    onnx.save(model, exported / "model.onnx")
    before = (exported / "report.json").read_bytes()
    result = run("check", exported)
    assert result.exit_code == 2, result.stderr
    assert "not the one of this export's model.onnx" in fault(result)
    assert (exported / "report.json").read_bytes() == before
