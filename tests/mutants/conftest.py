from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "graph"))  # small_onnx

from bench import Bench
from mutant_nets import TARGETS


@pytest.fixture(scope="session")
def bench(
    tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[..., None]
) -> Callable[[str], Bench]:
    """bench(net) exports a network, once."""
    require_tool("cmake", "gcc")

    @functools.cache
    def make(net: str) -> Bench:
        if net in TARGETS:
            require_tool("arm-none-eabi-gcc", "qemu-system-arm")
        return Bench(net, tmp_path_factory.mktemp(net))

    return make
