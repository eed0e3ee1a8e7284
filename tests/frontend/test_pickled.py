"""Pickled modules and checkpoints: refused, unless asked for; then loaded with their classes from a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from frontend_nets import Tiny, tiny
from torch import nn

from r2b_edge.errors import InputError
from r2b_edge.frontend import Form, LoadOptions, pickled, sniff, to_onnx

NETS = Path(__file__).parent / "frontend_nets.py"
SHAPE = ((1, 3, 8, 8),)
ALLOWED = LoadOptions(SHAPE, allow_pickle=True)

SOURCE = """
from torch import nn
class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
    def forward(self, x):
        return self.conv(x).sign()
"""


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A module whose class no other process can import without its folder."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/mine_nets.py").write_text(SOURCE)
    path = tmp_path / "model.pt"
    code = f"import torch, mine_nets; torch.save(mine_nets.Mine(), {str(path)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "src", check=True)
    return path


def test_refused_unless_allowed(foreign: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"\(mine_nets\.Mine\).*r2b_edge\.save\(.*, or load it with --allow-pickle"
    ):
        to_onnx(foreign, tmp_path / "o", LoadOptions(SHAPE))
    assert sniff(foreign, allow_pickle=True) is Form.PICKLE


def test_with_its_source(foreign: Path, tmp_path: Path) -> None:
    options = LoadOptions(SHAPE, allow_pickle=True, source_dir=tmp_path / "src")
    loaded = to_onnx(foreign, tmp_path / "model.onnx", options)
    assert loaded.form == "pickle"
    assert loaded.outputs[0].shape == (1, 4, 6, 6)


def test_without_its_source(foreign: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"No module named 'mine_nets'; .*--source-dir DIR"):
        to_onnx(foreign, tmp_path / "o", ALLOWED)


def test_a_class_of_the_script_itself(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    code = f"{SOURCE}\nimport torch; torch.save(Mine(), {str(path)!r})"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(InputError, match=r"by the script that defines its class.*r2b_edge\.save\("):
        to_onnx(path, tmp_path / "o", ALLOWED)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (LoadOptions(None, allow_pickle=True), "does not say the input's shape"),
        (LoadOptions(SHAPE, allow_pickle=True, source_dir="none"), "none is not a folder"),
    ],
)
def test_options_of_a_pickle(
    options: LoadOptions, message: str, foreign: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        to_onnx(foreign, tmp_path / "o", options)


def test_source_dir_is_not_for_other_forms(tiny_pt2: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--source-dir is for .* and .* is pt2"):
        to_onnx(tiny_pt2, tmp_path / "o", LoadOptions(source_dir=tmp_path))


def test_the_permission_alone_changes_nothing(tiny_pt2: Path, tmp_path: Path) -> None:
    assert to_onnx(tiny_pt2, tmp_path / "o", LoadOptions(allow_pickle=True)).form == "pt2"


def test_checkpoints_around_a_module(tmp_path: Path) -> None:
    path, notes = tmp_path / "m.pt", list[str]()
    torch.save({"epoch": 3, "model": nn.DataParallel(tiny())}, path)
    net = pickled.load(path, None, notes)
    assert isinstance(net, Tiny)
    assert not net.training
    assert notes == [
        "the network was taken from the checkpoint's entry 'model'",
        "the network was taken out of its DataParallel",
    ]


class Arguments:
    """What training scripts put beside the weights."""

    lr = 0.1


def test_checkpoints_with_more_than_tensors(tmp_path: Path) -> None:
    path, notes = tmp_path / "m.pt", list[str]()
    torch.save({"args": Arguments(), "state_dict": tiny().state_dict()}, path)
    net = pickled.load(path, f"{NETS}:Tiny", notes)
    assert torch.equal(net.fc.weight, tiny().fc.weight)  # type: ignore[union-attr, arg-type]
    assert notes == ["the state_dict was taken from the checkpoint's entry 'state_dict'"]
    with pytest.raises(InputError, match=r"a dict, not of a network; .*--model FILE\.py:CALLABLE"):
        pickled.load(path, None, [])


def test_a_pickle_that_runs_code_does_so_only_when_allowed(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    path = tmp_path / "m.pt"
    torch.save(Bomb(), path)
    with pytest.raises(InputError, match="could run code when loaded"):
        to_onnx(path, tmp_path / "o", LoadOptions(SHAPE))
    assert not (tmp_path / "ran").exists()
    with pytest.raises(InputError, match="NoneType, not of a network"):
        to_onnx(path, tmp_path / "o", ALLOWED)
    assert (tmp_path / "ran").exists()


def test_the_child_may_not_unpickle_unless_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the user's shell says of PyTorch's own switch."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)
    from r2b_edge.frontend import launch

    strict, lifted = (launch._environment(tmp_path, allowed) for allowed in (False, True))
    assert strict["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "1"
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in lifted
    assert not {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"} & {*strict, *lifted}
