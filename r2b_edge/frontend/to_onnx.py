"""Stage 1 of the pipeline: a model in any accepted form becomes model.onnx, the reference."""

from __future__ import annotations

import contextlib
import hashlib
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2b_edge.errors import InputError
from r2b_edge.frontend.attempts import exporters_of, first_that_works
from r2b_edge.frontend.launch import run_child
from r2b_edge.frontend.loaded import Loaded, LoadOptions, TensorInfo
from r2b_edge.frontend.sniff import SAVE_HINT, Form, sniff

if TYPE_CHECKING:
    from torch import nn

DEFAULT = LoadOptions()
MAX_VALUES = 1 << 29  # 2 GiB of float32
# Weights without a network.
_WEIGHTS = {Form.STATE_DICT: "a state_dict", Form.SAFETENSORS: "a safetensors file"}
_NO_SHAPE = {
    **_WEIGHTS,
    Form.TORCHSCRIPT: "a TorchScript archive",
    Form.PICKLE: "a pickled Python object",
}


def to_onnx(model: Path, out: Path, options: LoadOptions = DEFAULT) -> Loaded:
    """Turn a model file into an ONNX file of standard operators, static sizes and batch 1.

    The file is read in a child process; nothing that it holds is run, but for what `options.model` and
    `options.allow_pickle` ask for. `out` is written as a whole or not at all, and the same input gives
    the same bytes.

    Args:
        model: in any form of `sniff.Form`, told apart by content.
        out: where model.onnx goes; its folder exists.
        options: see `LoadOptions`.

    Raises:
        InputError: the file, its form or the options are at fault, or a limit was hit.
        UnsupportedError: the network holds what PyTorch's exporters or this tool cannot express.
    """
    return _file_to_onnx(model, out, options, str(model))


def _file_to_onnx(model: Path, out: Path, options: LoadOptions, what: str) -> Loaded:
    """As `to_onnx`; `what` is the model, as messages name it."""
    form = sniff(model, options.allow_pickle)
    _check_options(model, form, options)
    with _private_folder(out) as folder:
        made = folder / "model.onnx"
        request = {
            "path": str(model),
            "form": form.value,
            "input_shape": options.input_shape,
            "model": options.model,
            "source_dir": None if options.source_dir is None else str(options.source_dir),
            "allow_pickle": options.allow_pickle,
            "out": str(made),
            "memory_limit_bytes": options.memory_limit_bytes,
        }

        def attempt(exporter: str, limit_s: float, export_limit_s: float) -> dict[str, Any]:
            scratch = folder / exporter
            scratch.mkdir()
            asked = {**request, "exporter": exporter}
            return run_child(asked, scratch, limit_s, what, export_limit_s)

        answer = first_that_works(exporters_of(form), attempt, options.time_limit_s, what)
        made.replace(out)
    return Loaded(
        form=form.value,
        sha256=_sha256(model),
        inputs=_infos(answer["inputs"]),
        outputs=_infos(answer["outputs"]),
        notes=list(answer["notes"]),
    )


def module_to_onnx(
    module: nn.Module, example_inputs: Any, out: Path, options: LoadOptions = DEFAULT
) -> Loaded:
    """Turn an nn.Module into an ONNX file, as `to_onnx` does with a file of it.

    It is traced in a fork of this process, so that an exporter that crashes, hangs or prints does no harm.

    Args:
        module: traced in eval mode; it is left as it was.
        example_inputs: a tensor, or a tuple of the tensors that `module` is called with.
        out: where model.onnx goes; its folder exists.
        options: limits; the rest is for files.

    Raises:
        InputError: the module does not take these inputs, or a limit was hit.
        UnsupportedError: the network cannot be traced or exported.
    """
    import torch

    from r2b_edge.frontend.fork import run_fork
    from r2b_edge.frontend.save import save, save_traced

    begun = time.monotonic()
    what = f"the module {type(module).__name__}"
    makers = {"dynamo": ("model.pt2", save), "script": ("traced.onnx", save_traced)}
    with _private_folder(out) as folder:

        def attempt(exporter: str, limit_s: float, export_limit_s: float) -> dict[str, Any]:
            name, make = makers[exporter]
            file = folder / name
            run_fork(
                lambda: make(module, example_inputs, file),
                folder,
                export_limit_s,
                options.memory_limit_bytes,
                what,
            )
            left = options.time_limit_s - (time.monotonic() - begun)
            limits = LoadOptions(time_limit_s=left, memory_limit_bytes=options.memory_limit_bytes)
            return {"loaded": _file_to_onnx(file, out, limits, what), "notes": []}

        # What is a trace already is for the exporter of traces.
        form = Form.TORCHSCRIPT if isinstance(module, torch.jit.ScriptModule) else Form.PT2
        made = first_that_works(exporters_of(form), attempt, options.time_limit_s, what)
    loaded: Loaded = made["loaded"]
    return replace(loaded, form="nn.Module", notes=made["notes"] + loaded.notes)


def _check_options(model: Path, form: Form, options: LoadOptions) -> None:
    shapes = options.input_shape
    for shape in shapes or ():
        if not shape or min(shape) < 1:
            raise InputError(f"--input-shape {','.join(map(str, shape))}: sizes must be 1 or more")
        if math.prod(shape) > MAX_VALUES:
            raise InputError(f"--input-shape {','.join(map(str, shape))} is larger than 2 GiB")
    if form in _WEIGHTS:
        if options.model is None:
            raise InputError(
                f"{model} is {_WEIGHTS[form]}: weights without a network",
                f"name the network with --model FILE.py:CALLABLE, or {SAVE_HINT}",
            )
    elif options.model is not None and form is not Form.PICKLE:
        raise InputError(
            f"--model is for a state_dict, and {model} is a complete {form.value} model"
        )
    if form in _NO_SHAPE and shapes is None:
        raise InputError(
            f"{model} is {_NO_SHAPE[form]}, which does not say the input's shape",
            "give it with --input-shape, such as --input-shape 1,3,32,32, once for each input",
        )
    if options.source_dir is not None:
        if options.model is None and form is not Form.PICKLE:
            raise InputError(
                f"--source-dir is for the classes of a pickled nn.Module, and {model} is {form.value}"
            )
        if not Path(options.source_dir).is_dir():
            raise InputError(f"--source-dir {options.source_dir} is not a folder")


@contextlib.contextmanager
def _private_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out`, so that moving a file from it to `out` is atomic."""
    try:
        folder = tempfile.TemporaryDirectory(prefix=".r2b-load-", dir=out.resolve().parent)
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror or error}") from error
    with folder as name:
        yield Path(name)


def _infos(entries: list[dict[str, Any]]) -> tuple[TensorInfo, ...]:
    return tuple(
        TensorInfo(entry["name"], tuple(entry["shape"]), entry["dtype"]) for entry in entries
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
