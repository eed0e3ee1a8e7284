"""docs/forms.md, held against the tool: every block of it runs, and every refusal in its table is what is said."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from cli_nets import COMMAND, binary_net, fault, run, save
from onnx import TensorProto

import r2b_edge
from r2b_edge.errors import R2BError
from r2b_edge.frontend import LoadOptions, to_onnx

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/forms.md").read_text()
GOLDEN = ROOT / "tests/frontend/golden"


def sections() -> dict[str, list[tuple[str, str]]]:
    """Code blocks by heading: (language, text)."""
    found = {}
    for section in re.split(r"^## ", DOCUMENT, flags=re.MULTILINE):
        title = section.partition("\n")[0]
        blocks = re.findall(r"^```(\w+)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
        if blocks:
            found[title] = blocks
    return found


SECTIONS = sections()
(NET,) = (text for _, text in SECTIONS.pop(next(iter(SECTIONS))))


def test_the_document_has_a_section_for_each_form() -> None:
    forms = re.findall(r"^\| \**([\w. ]+?)\**[,|]", DOCUMENT.partition("```")[0], re.MULTILINE)
    listed = [form.strip() for form in forms if form.strip() != "form"]
    assert len(listed) == 8
    assert {form.lower() for form in listed} <= {title.lower() for title in SECTIONS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


def without_library(name: str, folder: Path) -> bool:
    """Whether the library that a block wants is missing; then the file that it would make is put there."""
    if importlib.util.find_spec(name) is not None:
        return False
    if name == "brevitas":
        shutil.copy(GOLDEN / "brevitas_binary.onnx", folder / "qonnx.onnx")
    else:
        sys.path.insert(0, str(ROOT / "tests/frontend"))
        from test_safetensors import write

        namespace: dict[str, Any] = {}
        exec(NET, namespace)
        write(folder / "model.safetensors", namespace["Net"]().state_dict())
    return True


@pytest.mark.slow
@pytest.mark.parametrize("title", SECTIONS)
def test_every_block_runs(title: str, folder: Path, require_tool: Callable[..., None]) -> None:
    require_tool("cmake", "gcc")
    path = os.pathsep.join((str(COMMAND.parent), os.environ["PATH"]))
    for language, text in SECTIONS[title]:
        wants = re.search(r"^from (brevitas|safetensors)", text, re.MULTILINE)
        if wants and without_library(wants[1], folder):
            continue
        assert language in ("python", "sh")
        command = [sys.executable, "-c", text] if language == "python" else ["bash", "-ec", text]
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        if language == "sh":
            assert "binary" in done.stdout


def test_the_golden_qonnx_is_made_as_documented() -> None:
    call = r"export_qonnx\(net, args=.*, dynamo=False\)"
    (block,) = (text for language, text in SECTIONS["QONNX"] if language == "python")
    assert re.search(call, block)
    assert re.search(call, (GOLDEN / "brevitas_nets.py").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "binary"), [("brevitas_binary", 2), ("brevitas_mixed", 1)])
def test_files_of_brevitas_to_the_end(
    name: str, binary: int, tmp_path: Path, require_tool: Callable[..., None]
) -> None:
    """8-bit inputs, 2-bit activations and 4-bit weights around the binary layers are computed in float."""
    require_tool("cmake", "gcc")
    report = r2b_edge.export(GOLDEN / f"{name}.onnx", target="host", out=tmp_path / "out")
    assert sum(layer.binary for layer in report.layers) == binary
    checked = run("check", tmp_path / "out", "--device", "host")
    assert checked.exit_code == 0, checked.stderr
    assert "Exact in every step" in checked.stdout


# The table of refusals: what makes each file, in the words of its first column.
Maker = Callable[[Path], Path]
MAKERS: dict[str, Maker] = {}
FACTORIES = {"state_dict without --input-shape": "net.py:Net"}


def refused(name: str) -> Callable[[Maker], Maker]:
    def register(maker: Maker) -> Maker:
        MAKERS[name] = maker
        return maker

    return register


def net() -> torch.nn.Module:
    spec = importlib.util.spec_from_loader("net", loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    exec(NET, module.__dict__)
    sys.modules["net"] = module  # pickle looks there
    made: torch.nn.Module = module.Net()
    return made


def with_bytes(name: str, data: bytes) -> None:
    def make(path: Path) -> Path:
        path.write_bytes(data)
        return path

    MAKERS[name] = make


def with_members(name: str, **members: bytes) -> None:
    def make(path: Path) -> Path:
        with zipfile.ZipFile(path, "w") as archive:
            for member, data in members.items():
                archive.writestr(member, data)
        return path

    MAKERS[name] = make


@refused("pickled nn.Module")
def _pickled(path: Path) -> Path:
    torch.save(net(), path)
    return path


@refused("state_dict without --model")
@refused("state_dict without --input-shape")
def _state_dict(path: Path) -> Path:
    torch.save(net().state_dict(), path)
    return path


with_members("TorchScript without --input-shape", **{"m/code/a.py": b"", "m/constants.pkl": b""})
with_bytes("Python pickle", b"\x80\x04\x95" + bytes(32))
with_bytes("Keras HDF5", b"\x89HDF\r\n\x1a\n" + bytes(64))
with_members("Keras archive", **{"config.json": b"{}", "model.weights.h5": b""})
with_bytes("TensorFlow Lite", b"\x1c\0\0\0TFL3" + bytes(64))
with_members(".pt2 of an older PyTorch", **{"serialized_exported_program.json": b"{}"})
with_members("zip of a model", **{"run/best.pth": b"", "run/log": b""})
with_bytes("tar archive", bytes(257) + b"ustar\0" + bytes(300))
with_bytes("gzip", b"\x1f\x8b\x08" + bytes(64))
with_bytes("web page", b"<!DOCTYPE html><html><body>Not found</body></html>")
with_bytes("git-lfs pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
with_bytes("Python source", b"import torch\n")
with_bytes("empty file", b"")


@refused("TensorFlow SavedModel")
def _saved_model(path: Path) -> Path:
    path.mkdir()
    (path / "saved_model.pb").write_bytes(b"")
    return path


@refused("numpy .npz")
def _npz(path: Path) -> Path:
    with path.open("wb") as file:
        np.savez(file, x=np.zeros(3))
    return path


@refused("cut off file")
def _cut_off(path: Path) -> Path:
    torch.save({"w": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:-100])
    return path


@refused("ONNX with open height")
def _open_height(path: Path) -> Path:
    made = binary_net()
    size = made.graph.input[0].type.tensor_type.shape.dim
    size[2].dim_param, size[3].dim_value = "height", 32
    return save(made, path)


@refused("ONNX of a runtime")
def _runtime(path: Path) -> Path:
    made = binary_net()
    made.graph.node[0].domain = "com.microsoft"
    made.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    return save(made, path)


@refused("ONNX in float16")
def _float16(path: Path) -> Path:
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    ends = [
        onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT16, (1, 3)) for name in ("x", "y")
    ]
    graph = onnx.helper.make_graph([node], "g", ends[:1], ends[1:])
    opset = [onnx.helper.make_opsetid("", 18)]
    return save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=10), path)


@refused(".pt2 on a GPU")
def _gpu(path: Path) -> Path:
    """An archive whose program says so: no GPU is needed for that."""
    sound = path.with_suffix(".sound")
    r2b_edge.save(torch.nn.Conv2d(3, 4, 3), torch.zeros(1, 3, 8, 8), sound)
    with zipfile.ZipFile(sound) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("model.json"):
                assert b'"type": "cpu"' in data
                data = data.replace(b'"type": "cpu"', b'"type": "cuda"')
            new.writestr(name, data)
    sound.unlink()
    return path


@refused(".pt2 in training mode")
def _training(path: Path) -> Path:
    program = torch.export.export(torch.nn.BatchNorm2d(3).train(), (torch.rand(2, 3, 4, 4),))
    torch.export.save(program, path)
    return path


class Branch(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


def table() -> dict[str, str]:
    rows = DOCUMENT.partition("## What is refused")[2]
    return dict(re.findall(r"^\| ([^|]+?) \| `(.+)` \|$", rows, re.MULTILINE))


def test_the_table_and_the_tests_have_the_same_rows() -> None:
    assert set(table()) == {*MAKERS, "branch on values"}


@pytest.mark.parametrize("row", MAKERS)
def test_every_refusal(row: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    path = MAKERS[row](folder / "model.bin")
    options = LoadOptions(model=FACTORIES.get(row))
    # The front end says all of this; that the command passes it on is another test's.
    with pytest.raises(R2BError) as caught:
        to_onnx(path, folder / "out.onnx", options)
    said = str(caught.value)
    assert table()[row] in said
    assert said.isprintable()
    assert caught.value.exit_code in (2, 3)
    assert caught.value.hint or "unpack" in said or "damaged" in said
    assert not (folder / "out.onnx").exists()


def test_a_branch_on_values() -> None:
    with pytest.raises(R2BError, match=table()["branch on values"]):
        r2b_edge.save(Branch(), torch.zeros(1, 3), "model.pt2")
    assert not Path("model.pt2").exists()


@pytest.mark.parametrize("command", ["export", "inspect"])
def test_the_commands_say_it(command: str, tmp_path: Path) -> None:
    path = MAKERS["web page"](tmp_path / "model.pt2")
    target = ["--target", "host"] if command == "export" else []
    result = run(command, path, *target)
    assert result.exit_code == 2
    assert table()["web page"] in fault(result)


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "r2b_edge", "targets", "rpi4", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["name"] == "rpi4"
    helped = subprocess.run(
        [sys.executable, "-m", "r2b_edge", "--help"], capture_output=True, text=True, check=True
    )
    assert helped.stdout.startswith("Usage: r2b-edge ")


def test_paths_of_every_kind(onnx_file: Path, tmp_path: Path) -> None:
    """os.PathLike, not only str and Path."""

    class Entry:
        def __fspath__(self) -> str:
            return str(onnx_file)

    assert r2b_edge.inspect(Entry()).model.file == onnx_file.name


def test_safetensors_of_the_command_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "w"
    path.write_bytes(struct.pack("<Q", 2) + b"{}" + bytes(0))
    monkeypatch.chdir(folder)
    result = run("inspect", path, "--model", "net.py:Net")
    assert "w is a safetensors file, which does not say the input's shape" in fault(result)
