"""What the front end costs, on the largest network that is shipped: from .pt2 to the graph."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from examples.nets import r2b_resnet18, randomize
from r2b_edge import save

SECONDS = 12  # of all processes together, on one core: the wall clock shows less
BYTES = 3 << 30  # of the largest process

CODE = """
import sys
from pathlib import Path
from r2b_edge.frontend import to_onnx
from r2b_edge.pipeline import graph_of

to_onnx(Path(sys.argv[1]), Path(sys.argv[2]))
graph = graph_of(Path(sys.argv[2]), "net")
print(sum(finding.binary for finding in graph.findings))
"""


@pytest.mark.slow
def test_resnet18(tmp_path: Path) -> None:
    save(randomize(r2b_resnet18(), 0), torch.zeros(1, 3, 224, 224), tmp_path / "net.pt2")
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, tmp_path / "net.pt2", tmp_path / "model.onnx"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    binary = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)  # of its own children, too
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert binary.strip() == "16"
    assert usage.ru_utime + usage.ru_stime < SECONDS
    assert usage.ru_maxrss << 10 < BYTES
