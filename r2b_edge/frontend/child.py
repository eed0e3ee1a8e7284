"""The child process: turns a model file into model.onnx under limits of memory and time.

Started by `launch.py` as `python -m r2b_edge.frontend.child REQUEST RESPONSE`, both JSON files. A
stranger's model may crash its reader or fill the memory; it is this process that dies then.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2b_edge.frontend.answer import answer, limit

if TYPE_CHECKING:
    import onnx


def main(request_file: str, response_file: str) -> None:
    """Serve one request and write the response, see `answer.py`."""
    # The exporter's many small objects live to the end: a fifth less time.
    gc.set_threshold(200_000)
    request = json.loads(Path(request_file).read_text())
    limit(request["memory_limit_bytes"])
    answer(lambda: _serve(request), Path(response_file))


def _serve(request: dict[str, Any]) -> dict[str, Any]:
    """Write model.onnx to request["out"].

    Keys of `request`: "path"; "form", see `sniff.Form`; "exporter", see `attempts.py`; "input_shape", "model",
    "source_dir", "allow_pickle", "memory_limit_bytes", see `LoadOptions`; "out"; "stage", a file to make when the file
    is read and the export begins.
    """
    from r2b_edge.frontend.sizes import tensor_infos

    notes: list[str] = []
    make = _of_onnx if request["form"] == "onnx" else _of_torch
    model = make(request, notes)
    Path(request["out"]).write_bytes(model.SerializeToString(deterministic=True))
    return {
        "inputs": [dataclasses.asdict(info) for info in tensor_infos(model.graph.input)],
        "outputs": [dataclasses.asdict(info) for info in tensor_infos(model.graph.output)],
        "notes": notes,
    }


def _of_onnx(request: dict[str, Any], notes: list[str]) -> onnx.ModelProto:
    from r2b_edge.frontend import onnx_file
    from r2b_edge.frontend.normalise import normalise
    from r2b_edge.frontend.reference import random_inputs, run

    shapes = request["input_shape"]
    model = normalise(onnx_file.load(Path(request["path"]), notes, shapes), shapes, notes)
    run(model, random_inputs(model))  # it is the reference for all that follows, so it must run
    return model


def _of_torch(request: dict[str, Any], notes: list[str]) -> onnx.ModelProto:
    from r2b_edge.frontend import networks
    from r2b_edge.frontend.agreement import require_agreement
    from r2b_edge.frontend.normalise import normalise
    from r2b_edge.frontend.onnx_file import inlined, require_standard
    from r2b_edge.frontend.tracing import traceable

    with traceable():
        network = networks.load(request, notes)
        Path(request["stage"]).touch()
        model = network.dynamo() if request["exporter"] == "dynamo" else network.script()
        where = Path("the exported model")
        model = inlined(model, where)
        require_standard(model.graph, where)
        model = normalise(model, network.shapes, notes)
        python = request["exporter"] == "script" and request["form"] not in ("torchscript", "pt2")
        require_agreement(network, model, notes, always=python)
    return model


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
