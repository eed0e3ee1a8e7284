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

SHARE = 1.5
"""Times that all processes together may take the CPU time that PyTorch alone takes to load the file and to export it.

1.2 on a quiet machine. Measured in the same run: seconds differ by two between machines, and with what else a core's
sibling does. That may change from one measurement to the next: of two tries one has to hold.
"""
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


PYTORCH = """
import sys
import torch

torch.onnx.export(torch.export.load(sys.argv[1]), dynamo=True, verbose=False)
"""


@pytest.mark.slow
def test_resnet18(tmp_path: Path) -> None:
    save(randomize(r2b_resnet18(), 0), torch.zeros(1, 3, 224, 224), tmp_path / "net.pt2")
    shares = []
    for _ in range(2):
        before = used(PYTORCH, str(tmp_path / "net.pt2"))[1]
        arguments = (str(tmp_path / "net.pt2"), str(tmp_path / "model.onnx"))
        binary, seconds, kilobytes = used(CODE, *arguments)
        after = used(PYTORCH, str(tmp_path / "net.pt2"))[1]
        assert binary.strip() == "16"
        assert kilobytes << 10 < BYTES
        shares.append(2 * seconds / (before + after))
        if shares[-1] < SHARE:
            return
    pytest.fail(f"{shares} of what PyTorch takes")


def used(code: str, *arguments: str) -> tuple[str, float, int]:
    """What a Python program prints, its CPU seconds and largest resident size in KiB; with its own children's."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return printed, usage.ru_utime + usage.ru_stime, usage.ru_maxrss
