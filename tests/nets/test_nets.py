"""Each network of the table, through everything that can run it: equal to onnxruntime step by step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from r2b_edge.checking.executor import GraphExecutor

from .executors import Compiler, canonical_of_script, check, faults, verdict_of
from .table import NETS


@pytest.mark.parametrize("name", NETS)
def test_network(
    name: str,
    compilers: dict[str, Compiler],
    require_lce: None,
    tmp_path: Path,
    row: Callable[..., None],
) -> None:
    check(name, NETS[name], tmp_path, compilers, row)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*:torch.jit.TracerWarning")
@pytest.mark.parametrize("name", NETS)
def test_network_of_the_older_exporter(name: str, tmp_path: Path) -> None:
    """It writes other operators; the same layers are found, and the graph is exact."""
    net = canonical_of_script(name, NETS[name], tmp_path)
    assert net.binary == NETS[name].binary, net.reasons()
    assert faults(verdict_of("graph", GraphExecutor(net.graph), net, samples=1)) == []
