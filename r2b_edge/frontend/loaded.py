"""What goes into the front end and what comes out of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

GIB = 1 << 30


@dataclass(frozen=True)
class LoadOptions:
    """How a model file is to be read.

    Attributes:
        input_shape: one shape per model input, batch axis first; None: as the file says.
        model: "FILE.py:CALLABLE" or "MODULE:CALLABLE", which returns the nn.Module that a
            state_dict belongs to. Naming it asks for that code to be run.
        allow_pickle: unpickle what a file holds, which runs any code that its author put there.
        source_dir: a folder with the Python modules that a pickled nn.Module or `model` needs.
        time_limit_s: wall-clock seconds that loading and exporting may take.
        memory_limit_bytes: private memory (heap, stacks, anonymous maps) the child process may use.
    """

    input_shape: tuple[tuple[int, ...], ...] | None = None
    model: str | None = None
    allow_pickle: bool = False
    source_dir: str | os.PathLike[str] | None = None
    time_limit_s: float = 300.0
    memory_limit_bytes: int = 6 * GIB


@dataclass(frozen=True)
class TensorInfo:
    """An input or an output of the network.

    Attributes:
        name: as in model.onnx; the model's author chose it, so escape it before use elsewhere.
        shape: static, the batch axis included.
        dtype: numpy's name, such as "float32".
    """

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Loaded:
    """What was read, and what became of it.

    Attributes:
        form: a value of `sniff.Form`, or "nn.Module".
        sha256: of the model file's bytes (of the file made from it, for an nn.Module).
        inputs: of model.onnx, in its order.
        outputs: of model.onnx, in its order.
        notes: what the user should know, such as a batch axis that was fixed to 1.
    """

    form: str
    sha256: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    notes: list[str] = field(default_factory=list)


def shape_text(shape: tuple[int | None, ...]) -> str:
    """A shape as a person writes it: 1x3x32x32, with "?" for a free size."""
    return "x".join("?" if size is None else str(size) for size in shape) or "scalar"
