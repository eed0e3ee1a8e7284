"""A hostile .pt2 does not run, shown beside what PyTorch alone does with the same file."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest
import torch
from frontend_nets import tiny

from r2b_edge.errors import InputError
from r2b_edge.frontend import to_onnx


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def with_member(source: Path, target: Path, ending: str, data: bytes) -> None:
    """Copy an archive with one member replaced."""
    replaced = 0
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            hit = name.endswith(ending)
            replaced += hit
            new.writestr(name, data if hit else old.read(name))
    assert replaced == 1


def test_hostile_pickle_in_the_sample_inputs(tmp_path: Path, tiny_pt2: Path) -> None:
    mark, path, out = tmp_path / "ran", tmp_path / "model.pt2", tmp_path / "model.onnx"
    pickle = io.BytesIO()
    torch.save(Bomb(mark), pickle)
    with_member(tiny_pt2, path, "sample_inputs/model.pt", pickle.getvalue())

    with pytest.raises(InputError, match="refused: it holds a pickled object") as caught:
        to_onnx(path, out)
    assert "\n" not in str(caught.value)
    assert not mark.exists()
    assert not out.exists()
    assert [item.name for item in tmp_path.iterdir()] == ["model.pt2"]

    with pytest.raises(Exception):  # noqa: B017, PT011 - PyTorch alone: it runs, and fails afterwards
        torch.export.load(path)
    assert mark.exists()


def test_child_vets_the_program(tmp_path: Path, tiny_pt2: Path) -> None:
    """The guard itself is tested in test_pt2_guard.py; here, that it stands before the loader."""
    mark, path = tmp_path / "ran", tmp_path / "model.pt2"
    with zipfile.ZipFile(tiny_pt2) as archive:
        name = next(name for name in archive.namelist() if name.endswith("models/model.json"))
        program = archive.read(name).decode()
    evil = f"__import__('os').mkdir({str(mark)!r}) or 1"
    size = '"sizes": [{"as_int": 1}, {"as_int": 3}, {"as_int": 8}, {"as_int": 8}]'
    assert size in program
    bad = f'"sizes": [{{"as_expr": {{"expr_str": "{evil}", "hint": null}}}}]'
    with_member(tiny_pt2, path, "models/model.json", program.replace(size, bad).encode())

    with pytest.raises(InputError, match="could run code when loaded"):
        to_onnx(path, tmp_path / "model.onnx")
    assert not mark.exists()

    with pytest.raises(Exception):  # noqa: B017, PT011 - it runs, and fails somewhere afterwards
        torch.export.load(path)
    assert mark.exists()


def test_training_mode_is_refused(tmp_path: Path) -> None:
    from r2b_edge.frontend import pt2

    program = torch.export.export(tiny().train(), (torch.rand(2, 3, 8, 8),), strict=False)
    path = tmp_path / "model.pt2"
    torch.export.save(program, path)
    with pytest.raises(InputError, match=r"training mode.*model\.eval\(\)"):
        pt2.load(path)
