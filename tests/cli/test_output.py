"""OUT is replaced as a whole or not at all, and only where it is an earlier export."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from cli_nets import contents, fault, run

from r2b_edge import report, targets
from r2b_edge.pipeline import Storage, graph_of, program_of

Earlier = tuple[Path, Callable[[], None]]
PRODUCED = {"c", "model.onnx", "model.tflite", "report.html", "report.json"}

pytestmark = pytest.mark.usefixtures("no_tools")  # what is built does not matter here


def export(model: Path, out: Path, *options: str) -> Any:
    return run("export", model, "--target", "host", "--out", out, *options)


def refused(model: Path, out: Path, *options: str) -> str:
    result = export(model, out, *options)
    assert result.exit_code == 2, result.stderr
    assert result.stdout == ""
    return fault(result)


def test_it_holds_what_the_contract_says(onnx_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folders" / "out"
    previous = os.umask(0o027)
    try:
        result = export(onnx_file, out)
    finally:
        os.umask(previous)
    assert result.exit_code == 0, result.stderr
    assert {path.name for path in out.iterdir()} == PRODUCED
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o750  # as the user's umask says


def stem_net(path: Path) -> Path:
    """A stem of 7x7 with stride 2 on 3 channels, and a binary convolution."""
    random = np.random.default_rng(0)
    weights = {
        "stem": random.normal(size=(16, 3, 7, 7)).astype(np.float32),
        "binary": random.choice(np.array([-1, 1], np.float32), (4, 16, 3, 3)),
    }
    stem = {"strides": [2, 2], "pads": [3, 3, 3, 3]}
    nodes = [
        onnx.helper.make_node("Conv", ["x", "stem"], ["map"], "stem", **stem),
        onnx.helper.make_node("Sign", ["map"], ["bits"], "sign"),
        onnx.helper.make_node("Conv", ["bits", "binary"], ["y"], "binary"),
    ]
    shapes = {"x": [1, 3, 64, 64], "y": [1, 4, 30, 30]}
    value = {n: onnx.helper.make_tensor_value_info(n, 1, shape) for n, shape in shapes.items()}
    constants = [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = onnx.helper.make_graph(nodes, "net", [value["x"]], [value["y"]], constants)
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


def test_float_sums_term_by_term(tmp_path: Path) -> None:
    """What `check` makes of the report is what was exported; targets without another way are as they were."""
    model = stem_net(tmp_path / "net.onnx")
    kernels = []
    for option in ((), ("--exact-float",)):
        out = tmp_path / f"out{len(option)}"
        result = run("export", model, "--target", "rpi4", "--out", out, *option)
        assert result.exit_code == 0, result.stderr
        made = report.read(out)
        graph = graph_of(out / "model.onnx", "net", Storage.of(made))
        exact = Storage.of(made).exact_float
        program = program_of(graph, targets.load("rpi4"), "net", "", exact_float=exact)
        assert exact == bool(option)
        assert [step.kernel for step in made.steps] == [step.called for step in program.steps]
        assert any("--exact-float" in note for note in made.notes) == (not option)
        kernels.append(made.steps[0].kernel)
    assert kernels == ["fconv_winograd_neon", "fconv_neon"]
    board = targets.load("host")
    host = {program_of(graph, board, "net", "", exact_float=exact).hash for exact in (False, True)}
    assert len(host) == 1


def test_float_layers_in_integers(onnx_file: Path, tmp_path: Path) -> None:
    assert "--quantize-float and --samples X.npy go together" in refused(
        onnx_file, tmp_path / "out", "--quantize-float"
    )
    samples = tmp_path / "x.npy"
    shape = onnx.load(onnx_file).graph.input[0].type.tensor_type.shape.dim
    np.save(samples, np.zeros((3, *(d.dim_value for d in shape[1:])), np.float32) + 0.5)
    assert "go together" in refused(onnx_file, tmp_path / "out", "--samples", str(samples))
    options = ("--quantize-float", "--samples", str(samples))
    result = export(onnx_file, tmp_path / "out", *options, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["options"]["quantize_float"] == "int8"
    assert {path.name for path in (tmp_path / "out").iterdir()} == PRODUCED | {"model_float.onnx"}
    result = export(onnx_file, tmp_path / "out", "--json")  # an earlier one, which it replaces
    assert result.exit_code == 0, result.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == PRODUCED


def test_how_floats_are_stored(onnx_file: Path, tmp_path: Path) -> None:
    storage = ("--float-storage", "fp16", "--input-dtype", "uint8")
    result = export(onnx_file, tmp_path / "out", *storage, "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["options"] == {"name": "tiny", "float_storage": "fp16", "input_dtype": "uint8"}
    assert [i["dtype"] for i in report["model"]["inputs"]] == ["uint8"]
    scaled = export(
        onnx_file, tmp_path / "out", "--input-scale", "0.5", "--input-offset", "-1", "--json"
    )
    assert scaled.exit_code == 0, scaled.stderr
    notes = json.loads(scaled.stdout)["notes"]
    assert any("the input is scaled in the network: times 0.5, plus -1;" in note for note in notes)
    wrong = (("--float-storage", "fp8"), ("--input-dtype", "int8"), ("--input-scale", "1;2"))
    for option, value in wrong:
        refusal = export(onnx_file, tmp_path / "out", option, value)
        assert refusal.exit_code == 2
        assert f"Invalid value for '{option}': " in refusal.stderr


def test_the_default_folder(
    onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("export", onnx_file, "--target", "host")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "r2b-out" / "tiny-host" / "report.json").is_file()


def test_an_earlier_export_is_replaced_as_a_whole(
    onnx_file: Path, exported: Path, tmp_path: Path
) -> None:
    (exported / "model.onnx").write_bytes(b"old")
    (exported / "c" / "stale.c").write_text("old")
    beside = sorted(path.name for path in tmp_path.iterdir())
    result = export(onnx_file, exported)
    assert result.exit_code == 0, result.stderr
    assert (exported / "model.onnx").stat().st_size > 100
    assert not (exported / "c" / "stale.c").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == beside


def test_the_folder_that_one_stands_in(
    onnx_file: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(exported)
    (exported / "model.tflite").unlink()
    result = export(onnx_file, Path())
    assert result.exit_code == 0, result.stderr
    assert (exported / "model.tflite").is_file()


def test_a_foreign_folder_needs_force(onnx_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter.tex").write_text("years of work")
    said = refused(onnx_file, out)
    assert "is not an earlier export" in said
    assert "--force" in said
    assert contents(out) == {"chapter.tex": b"years of work"}
    assert export(onnx_file, out, "--force").exit_code == 0
    assert {path.name for path in out.iterdir()} == PRODUCED


def test_a_foreign_report_makes_no_export(onnx_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "other"
    out.mkdir()
    (out / "report.json").write_text('{"schema": 1}')
    assert "is not an earlier export" in refused(onnx_file, out)


def test_an_empty_folder_is_taken(onnx_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "empty"
    out.mkdir()
    assert export(onnx_file, out).exit_code == 0
    assert {path.name for path in out.iterdir()} == PRODUCED


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_file_or_a_link_is_never_replaced(
    force: list[str], onnx_file: Path, exported: Path, tmp_path: Path
) -> None:
    file, link, dead = tmp_path / "file", tmp_path / "link", tmp_path / "dead"
    file.write_text("mine")
    link.symlink_to(exported)
    dead.symlink_to(dead)
    for out in (file, link, dead):
        assert "exists and is not a folder" in refused(onnx_file, out, *force)
    assert file.read_text() == "mine"
    assert link.readlink() == exported


def test_the_folder_of_the_model_is_never_replaced(onnx_file: Path, exported: Path) -> None:
    before = contents(exported)
    assert "holds the model itself" in refused(exported / "model.onnx", exported)
    home = onnx_file.parent
    assert "holds the model itself" in refused(onnx_file, home, "--force")
    assert "holds the model itself" in refused(onnx_file, Path("/"), "--force")
    assert onnx_file.is_file()
    assert contents(exported) == before


def test_places_that_cannot_be_written(onnx_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for out in (file / "out", Path("/proc/out"), tmp_path / ("x" * 300), tmp_path / ("x" * 250)):
        assert "cannot write" in refused(onnx_file, out)
    assert file.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_parent(onnx_file: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        assert "cannot write" in refused(onnx_file, tmp_path / "out")
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.parametrize(
    "call",
    [
        "pathlib.Path.write_bytes",  # model.tflite
        "r2b_edge.exporters.c.render.render",  # c/
        "r2b_edge.report.files.os.fsync",  # the report
    ],
)
def test_a_disk_that_fills_up(
    call: str, onnx_file: Path, earlier: Earlier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out, intact = earlier
    monkeypatch.setattr(call, full)
    said = refused(onnx_file, out)
    assert "No space left on device" in said
    monkeypatch.undo()
    intact()


def test_the_swap_fails(onnx_file: Path, earlier: Earlier, monkeypatch: pytest.MonkeyPatch) -> None:
    """The earlier export is moved aside already when the new one cannot take its place: it comes back."""
    out, intact = earlier
    rename = Path.rename

    def busy(self: Path, target: Path) -> Path:
        if target == out and not self.name.endswith(".old"):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", busy)
    assert "Device or resource busy" in refused(onnx_file, out)
    intact()


def test_a_bug_of_ours_keeps_its_traceback(
    onnx_file: Path, earlier: Earlier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_arguments: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "a template is missing")

    monkeypatch.setattr("r2b_edge.pipeline.collect", bug)
    out, intact = earlier
    result = export(onnx_file, out)
    assert result.exit_code == 70
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("r2b-edge: this is a bug")
    intact()
