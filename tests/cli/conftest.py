from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cli_nets import binary_net, contents, run, save


@pytest.fixture(scope="session")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny binary network, as tiny.onnx."""
    return save(binary_net(), tmp_path_factory.mktemp("onnx") / "tiny.onnx")


@pytest.fixture(scope="session")
def pt2_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound .pt2 archive, of one convolution."""
    import torch

    from r2b_edge import save as save_pt2

    path = tmp_path_factory.mktemp("pt2") / "model.pt2"
    save_pt2(torch.nn.Conv2d(3, 4, 3), torch.rand(1, 3, 8, 8), path)
    return path


@pytest.fixture(scope="session")
def _exported(
    onnx_file: Path, tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[..., None]
) -> Path:
    require_tool("cmake", "gcc")
    out = tmp_path_factory.mktemp("exported") / "out"
    result = run("export", onnx_file, "--target", "host", "--out", out, "--json")
    assert result.exit_code == 0, result.stderr
    return out


@pytest.fixture
def exported(_exported: Path, tmp_path: Path) -> Path:
    """A fresh copy of an export of the tiny network for the host, to do with as one likes."""
    return Path(shutil.copytree(_exported, tmp_path / "exported"))


@pytest.fixture
def earlier(_exported: Path, tmp_path: Path) -> tuple[Path, Callable[[], None]]:
    """OUT with an earlier export in it, and a check that it is as it was, with nothing left beside it."""
    folder = tmp_path / "earlier"
    out = Path(shutil.copytree(_exported, folder / "out"))
    before = contents(out)

    def intact() -> None:
        assert contents(out) == before
        assert [path.name for path in folder.iterdir()] == ["out"]

    return out, intact


@pytest.fixture
def no_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PATH: no compiler, no CMake, no emulator. An export writes c/ then, but builds nothing."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder
