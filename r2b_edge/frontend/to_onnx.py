"""Stage 1 of the pipeline: a model in any accepted form becomes model.onnx, the reference."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2b_edge.errors import InputError
from r2b_edge.frontend.launch import run_child
from r2b_edge.frontend.loaded import Loaded, LoadOptions, TensorInfo
from r2b_edge.frontend.sniff import SAVE_HINT, Form, sniff

if TYPE_CHECKING:
    from torch import nn

DEFAULT = LoadOptions()


def to_onnx(model: Path, out: Path, options: LoadOptions = DEFAULT) -> Loaded:
    """Turn a model file into an ONNX file of standard operators, static sizes and batch 1.

    The file is read in a child process; nothing that it holds is run, but for the code that
    `options.model` names. `out` is written as a whole or not at all, and the same input gives the
    same bytes.

    Args:
        model: .pt2, .onnx or a state_dict, told apart by content.
        out: where model.onnx goes; its folder exists.
        options: see `LoadOptions`.

    Raises:
        InputError: the file, its form or the options are at fault, or a limit was hit.
        UnsupportedError: the network holds what torch.onnx or this tool cannot express.
    """
    form = sniff(model)
    _check_options(model, form, options)
    with _private_folder(out) as name:
        folder = Path(name)
        made = folder / "model.onnx"
        request = {
            "path": str(model),
            "form": form.value,
            "input_shape": options.input_shape,
            "model": options.model,
            "out": str(made),
            "memory_limit_bytes": options.memory_limit_bytes,
        }
        answer = run_child(request, folder, options.time_limit_s, str(model))
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

    Args:
        module: put into eval mode while it is traced; it is handed back as it was.
        example_inputs: a tensor, or a tuple of the tensors that `module` is called with.
        out: where model.onnx goes; its folder exists.
        options: limits; `input_shape` and `model` are for files.

    Raises:
        InputError: the module does not take these inputs, or a limit was hit.
        UnsupportedError: the network cannot be traced or exported.
    """
    from dataclasses import replace

    from r2b_edge.frontend.save import save

    with _private_folder(out) as name:
        archive = Path(name) / "model.pt2"
        save(module, example_inputs, archive)
        loaded = to_onnx(archive, out, replace(options, input_shape=None, model=None))
    return replace(loaded, form="nn.Module")


def _check_options(model: Path, form: Form, options: LoadOptions) -> None:
    shapes = options.input_shape
    for shape in shapes or ():
        if not shape or min(shape) < 1:
            raise InputError(f"--input-shape {','.join(map(str, shape))}: sizes must be 1 or more")
    if form is Form.STATE_DICT:
        if options.model is None:
            raise InputError(
                f"{model} is a state_dict: weights without a network",
                f"name the network with --model FILE.py:CALLABLE, or {SAVE_HINT}",
            )
        if shapes is None:
            raise InputError(
                f"{model} is a state_dict, which does not say the input's shape",
                "give it with --input-shape, such as --input-shape 1,3,32,32",
            )
    elif options.model is not None:
        raise InputError(
            f"--model is for a state_dict, and {model} is a complete {form.value} model"
        )


def _private_folder(out: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder beside `out`, so that moving a file from it to `out` is atomic."""
    try:
        return tempfile.TemporaryDirectory(prefix=".r2b-load-", dir=out.resolve().parent)
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror or error}") from error


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
