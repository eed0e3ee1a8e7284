"""`check` on what is no export, on damaged ones, and with samples and labels that do not fit."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_nets import CLASSES, contents, fault, run

Change = Callable[[Path], object]


def refused(out: Path, *options: object) -> str:
    """The check ends with exit code 2, and leaves the folder as it was."""
    before = contents(out)
    result = run("check", out, *options)
    assert result.exit_code == 2, result.stderr
    assert result.stdout == ""
    assert contents(out) == before
    return fault(result)


def test_a_folder_that_is_no_export(tmp_path: Path, onnx_file: Path) -> None:
    assert "cannot read" in refused(tmp_path)
    assert "cannot read" in refused(tmp_path / "none")
    assert "onnx" in refused(onnx_file)


def _report(**changes: Any) -> Change:
    def change(out: Path) -> None:
        report = json.loads((out / "report.json").read_text())
        (out / "report.json").write_text(json.dumps(report | changes))

    return change


def _fewer_steps(out: Path) -> None:
    report = json.loads((out / "report.json").read_text())
    report["steps"].pop()
    for layer in report["layers"]:
        layer["steps"] = [i for i in layer["steps"] if i < len(report["steps"])]
    (out / "report.json").write_text(json.dumps(report))


def _cut(name: str, size: int = 700) -> Change:
    return lambda out: (out / name).write_bytes((out / name).read_bytes()[:size])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda out: (out / "report.json").write_text("{"), "report.json is damaged"),
        (lambda out: (out / "report.json").write_bytes(b"\xff"), "report.json"),
        (lambda out: (out / "report.json").write_text("[]"), "is not a report"),
        (_report(schema=2), "schema 1, the only one"),
        (_report(steps="all"), "is not a report"),
        (_report(tool={"name": "r2b-edge", "version": "0.0.1"}), "exported by r2b-edge 0.0.1"),
        (_report(target="../../x"), "unknown target"),
        (_report(options={}), "name for C"),
        (_report(options={"name": "a;b"}), "name for C"),
        (_fewer_steps, "do not fit together"),
        (lambda out: (out / "model.onnx").unlink(), "model.onnx"),
        (_cut("model.onnx"), "model.onnx is not a readable ONNX model"),
        (lambda out: (out / "c" / "CMakeLists.txt").unlink(), "CMakeLists.txt"),
        (lambda out: (out / "c").rename(out / "d"), "c is missing"),
    ],
)
def test_a_damaged_export(change: Change, words: str, exported: Path) -> None:
    change(exported)
    assert words in refused(exported)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda out: (out / "model.tflite").unlink(), "cannot read"),
        (_cut("model.tflite", 0), "model.tflite is damaged"),
        (_cut("model.tflite"), "model.tflite is damaged"),
    ],
)
def test_a_damaged_tflite_file(
    change: Change, words: str, exported: Path, require_lce: None
) -> None:
    change(exported)
    assert words in refused(exported)


def _npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, x=np.zeros((2, 3, 8, 8), np.float32))
    return file.getvalue()


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x", "y")
    return file.getvalue()


def _huge() -> bytes:
    """A header that declares a terabyte, and no data."""
    whole = _npy(np.zeros((2, 3, 8, 8), np.float32))
    return whole[:128].replace(b"(2, 3, 8, 8), }      ", b"(9000000000,3,8,8), }")


SOUND = np.zeros((2, 3, 8, 8), np.float32)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", "is not a .npy file"),
        (b"0,1,2\n", "is not a .npy file"),
        (_npy(SOUND)[:-8], "is not a .npy file"),
        (_npy(np.array([{}], object)), "is not a .npy file"),  # a pickle
        (_npz(), "the samples are for (x), and the model's inputs are ("),
        (_zip(), "is a damaged .npz archive, or not one of numbers"),
        (_huge(), "is not a .npy file"),
        (_npy(SOUND.astype(np.float64)), "samples are float64"),
        (_npy(SOUND.astype(np.int8)), "samples are int8"),
        (_npy(SOUND[0]), "shape [3, 8, 8]"),
        (_npy(SOUND.transpose(0, 2, 3, 1)), "the model takes [N, 3, 8, 8]"),
        (_npy(SOUND[:0]), "shape [0, 3, 8, 8]"),
        (_npy(np.float32(0)), "shape []"),
        (_npy(np.full_like(SOUND, np.nan)), "NaN or infinity"),
        (_npy(np.full_like(SOUND, np.inf)), "NaN or infinity"),
    ],
)
def test_samples_that_do_not_fit(
    content: bytes | None, words: str, exported: Path, tmp_path: Path
) -> None:
    path = tmp_path / "samples.npy"
    if content is not None:
        path.write_bytes(content)
    assert words in refused(exported, "--samples", path)


def test_a_pickle_among_the_samples_is_not_run(exported: Path, tmp_path: Path) -> None:
    import os
    import pickle

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    path = tmp_path / "samples.npy"
    for content in (pickle.dumps(Bomb()), _npy(np.array([Bomb()], object))):
        path.write_bytes(content)
        assert "is not a .npy file" in refused(exported, "--samples", path)
        assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "labels",
    [
        np.arange(3),
        np.zeros(2, np.float32),
        np.zeros((2, 1), np.int64),
        np.int64(1),
        np.zeros(2, bool),
    ],
)
def test_labels_that_do_not_fit(labels: Any, exported: Path, tmp_path: Path) -> None:
    samples, path = tmp_path / "samples.npy", tmp_path / "labels.npy"
    np.save(samples, SOUND)
    np.save(path, labels)
    said = refused(exported, "--samples", samples, "--labels", path)
    assert "one integer label for each of the 2 samples" in said


def test_an_unknown_device(exported: Path) -> None:
    assert "unknown device 'warp'" in refused(exported, "--device", "warp")


def test_samples_and_labels(exported: Path, tmp_path: Path) -> None:
    """uint8 samples are taken as the float32 of the same value; four of six labels are right."""
    import onnxruntime

    images = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8), dtype=np.uint8)
    reference = onnxruntime.InferenceSession(exported / "model.onnx")
    feed = reference.get_inputs()[0].name
    answers = [
        int(reference.run(None, {feed: image[None].astype(np.float32)})[0].argmax())
        for image in images
    ]
    answers[:2] = [(answer + 1) % CLASSES for answer in answers[:2]]
    samples, labels = tmp_path / "samples.npy", tmp_path / "labels.npy"
    np.save(samples, images)
    np.save(labels, np.asarray(answers))
    options = ("--samples", samples, "--labels", labels, "--threads", 3)
    result = run("check", exported, *options, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)["check"]
    assert found["reference_accuracy"] == pytest.approx(4 / 6)
    for executor in ("graph", "c"):
        assert found["executors"][executor]["accuracy"] == pytest.approx(4 / 6)
        assert found["executors"][executor]["samples"] == 6
