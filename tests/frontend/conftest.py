from __future__ import annotations

import sys
from pathlib import Path

import pytest

from r2b_edge.frontend import Loaded, save, to_onnx

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def tiny_pt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean archive of frontend_nets.tiny(), on an example input of 1x3x8x8."""
    import torch
    from frontend_nets import tiny

    path = tmp_path_factory.mktemp("pt2") / "tiny.pt2"
    save(tiny(), torch.rand(1, 3, 8, 8), path)
    return path


@pytest.fixture(scope="session")
def tiny_onnx(tiny_pt2: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Loaded]:
    """model.onnx of it, through the child process."""
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    return path, to_onnx(tiny_pt2, path)
