"""save() writes a file that says nothing about the machine, and leaves the module as it was."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
import torch
from frontend_nets import tiny
from torch import nn

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.frontend import save

PATHS = re.compile(rb"site-packages|\.py\b|/home/|/tmp/|/root/|/usr/|nets\.|stack_trace|[A-Z]:\\\\")


def test_plain_torch_archive_does_tell(tmp_path: Path) -> None:
    """The search below finds something where there is something."""
    program = torch.export.export(tiny().eval(), (torch.rand(1, 3, 8, 8),), strict=False)
    torch.export.save(program, tmp_path / "model.pt2")
    with zipfile.ZipFile(tmp_path / "model.pt2") as archive:
        assert any(PATHS.search(archive.read(name)) for name in archive.namelist())


def test_no_path_and_no_example_value(tmp_path: Path) -> None:
    class Guarded(nn.Module):  # torch.no_grad inside makes a graph within the graph
        def __init__(self) -> None:
            super().__init__()
            self.net = tiny()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                return self.net(x) + 1

    path = tmp_path / "model.pt2"
    save(Guarded(), torch.full((1, 3, 8, 8), 123.25), path)
    value = torch.full((4,), 123.25).numpy().tobytes()
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            assert not PATHS.search(data), name
            assert not PATHS.search(name.encode())
            assert value not in data
    assert [item.name for item in tmp_path.iterdir()] == ["model.pt2"]


def test_same_network_same_bytes(tmp_path: Path) -> None:
    for name in ("one.pt2", "other.pt2"):
        save(tiny(), (torch.rand(1, 3, 8, 8),), tmp_path / name)
    assert (tmp_path / "one.pt2").read_bytes() == (tmp_path / "other.pt2").read_bytes()


def test_saved_network_computes_the_same(tiny_pt2: Path) -> None:
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        expected = tiny().eval()(x)
        assert torch.equal(torch.export.load(tiny_pt2).module()(x), expected)


def test_training_flags_are_restored(tmp_path: Path) -> None:
    net = tiny()
    net.units[0].eval()
    before = [part.training for part in net.modules()]
    save(net, torch.rand(1, 3, 8, 8), tmp_path / "model.pt2")
    assert [part.training for part in net.modules()] == before
    with pytest.raises(InputError):
        save(net, torch.rand(1, 4, 8, 8), tmp_path / "model.pt2")
    assert [part.training for part in net.modules()] == before


def test_users_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    with pytest.raises(InputError, match="does not take the example inputs"):
        save(tiny(), torch.rand(1, 4, 8, 8), path)
    with pytest.raises(InputError, match="not a tensor"):
        save(tiny(), "x", path)
    with pytest.raises(InputError, match="cannot be written"):
        save(tiny(), torch.rand(1, 3, 8, 8), tmp_path / "none" / "model.pt2")

    class Branch(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(UnsupportedError, match="cannot trace"):
        save(Branch(), torch.rand(1, 3), path)
    assert not path.exists()
