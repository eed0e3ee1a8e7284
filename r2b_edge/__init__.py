"""r2b-edge: binary neural networks from PyTorch to TFLite and to C on Arm, checked step by step.

The public API: `export`, `check`, `fault_of`, `inspect`, `save`. Nothing heavy is imported before one of them is used.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from r2b_edge.version import __version__

if TYPE_CHECKING:
    from r2b_edge.checking.run import check, fault_of
    from r2b_edge.frontend.loaded import LoadOptions
    from r2b_edge.frontend.save import save
    from r2b_edge.inspection import inspect
    from r2b_edge.pipeline import ExportOptions, Storage, export

__all__ = [
    "ExportOptions",
    "LoadOptions",
    "Storage",
    "__version__",
    "check",
    "export",
    "fault_of",
    "inspect",
    "save",
]

# No telemetry: from 1.29 on, onnxruntime's wheels send names and hashes of models to their maker, unless this is set
# before it is imported. The child process that reads a model inherits it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_HOMES = {
    "ExportOptions": "r2b_edge.pipeline",
    "LoadOptions": "r2b_edge.frontend.loaded",
    "Storage": "r2b_edge.pipeline",
    "check": "r2b_edge.checking.run",
    "export": "r2b_edge.pipeline",
    "fault_of": "r2b_edge.checking.run",
    "inspect": "r2b_edge.inspection",
    "save": "r2b_edge.frontend.save",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
