"""The child process: turns a model file into model.onnx under limits of memory and time.

Started by `launch.py` as `python -m r2b_edge.frontend.child REQUEST RESPONSE`, both JSON files. A
stranger's model may crash its reader or fill the memory; it is this process that dies then.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from r2b_edge.errors import R2BError

_PR_SET_PDEATHSIG = 1
_NO_MEMORY = ("can't allocate memory", "bad_alloc", "bad allocation")  # torch, C++, onnxruntime


def main(request_file: str, response_file: str) -> None:
    """Serve one request and write the response: {"loaded"}, {"error"} or {"bug"}."""
    request = json.loads(Path(request_file).read_text())
    _limit(request["memory_limit_bytes"])
    response: dict[str, Any]
    try:
        response = {"loaded": _serve(request)}
    except Exception as error:
        response = _describe(error)
    Path(response_file).write_text(json.dumps(response))


def _describe(error: Exception) -> dict[str, Any]:
    cause: BaseException | None = error
    while cause is not None:  # whatever was made of it, the memory limit is what it was about
        if isinstance(cause, MemoryError) or any(text in str(cause) for text in _NO_MEMORY):
            return {"memory": True}
        cause = cause.__cause__
    if isinstance(error, R2BError):
        kind = type(error).__name__
        return {"error": {"kind": kind, "message": error.message, "hint": error.hint}}
    return {"bug": "".join(traceback.format_exception(error))}


def _limit(memory: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        memory = min(memory, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # do not outlive a parent that was killed
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _serve(request: dict[str, Any]) -> dict[str, Any]:
    from r2b_edge.frontend.sniff import Form

    path, form = Path(request["path"]), Form(request["form"])
    given = request["input_shape"]
    shapes = None if given is None else tuple(tuple(shape) for shape in given)
    notes: list[str] = []
    if form is Form.ONNX:
        from r2b_edge.frontend import onnx_file

        model = onnx_file.load(path)
    else:
        from r2b_edge.frontend.torch_export import program_to_onnx

        if form is Form.PT2:
            from r2b_edge.frontend import pt2

            program = pt2.load(path)
        else:
            from r2b_edge.frontend import state_dict

            assert shapes is not None  # to_onnx asked for it
            program = state_dict.load(path, request["model"], shapes, notes)
            shapes = None
        model = program_to_onnx(program)
        _check_exported(model)

    from r2b_edge.frontend.normalise import normalise
    from r2b_edge.frontend.reference import random_inputs, run
    from r2b_edge.frontend.sizes import tensor_infos

    model = normalise(model, shapes, notes)
    run(model, random_inputs(model))  # it is the reference for all that follows, so it must run
    Path(request["out"]).write_bytes(model.SerializeToString(deterministic=True))
    return {
        "inputs": [dataclasses.asdict(info) for info in tensor_infos(model.graph.input)],
        "outputs": [dataclasses.asdict(info) for info in tensor_infos(model.graph.output)],
        "notes": notes,
    }


def _check_exported(model: Any) -> None:
    from r2b_edge.frontend.onnx_file import require_standard

    if model.functions:
        from onnx import inliner

        model.CopyFrom(inliner.inline_local_functions(model))
    require_standard(model.graph, Path("the exported model"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
