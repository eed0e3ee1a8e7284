"""The whole flow, top to bottom: a model file to a folder with everything that was exported."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx

from r2b_edge import passes, report, targets
from r2b_edge.checking.quantize import FLOAT_MODEL, QUANTIZED, quantize
from r2b_edge.checking.samples import SampleArrays
from r2b_edge.errors import InputError, ToolMissingError
from r2b_edge.exporters import c as c_exporter
from r2b_edge.exporters.c.build import RESERVED, check_name
from r2b_edge.exporters.c.split import WORTH
from r2b_edge.exporters.tflite.convert import convert
from r2b_edge.frontend import Loaded, LoadOptions, module_to_onnx, to_onnx
from r2b_edge.graph import Graph
from r2b_edge.graph.from_onnx import from_onnx, read_onnx
from r2b_edge.graph.rounding import round_model, stored_weights
from r2b_edge.graph.spec import verify
from r2b_edge.passes.required import require_binary
from r2b_edge.report.collect import Artifacts, Measured, collect
from r2b_edge.report.folder import replacing
from r2b_edge.report.model import Report
from r2b_edge.toolchain.budget import Budget, refuse_excess, refuse_linked
from r2b_edge.version import __version__

Progress = Callable[[str], None]
"""Called with what begins now, one line."""

ROUNDED_TWICE = 1e-5
"""By how much weights that are halves already may change when they are rounded again: the rounding of float32 only."""

EXACT_FLOAT = "exact_float"
"""The option of a report, there if asked for."""


@dataclass(frozen=True)
class Storage:
    """How the C program stores and sums what is float; it travels in the report's options.

    Args:
        float_storage: of the weights of float convolutions and dense layers, "fp32" or "fp16".
        input_dtype: of the network's inputs, "float32", or "uint8" for whole numbers from 0 to 255.
        exact_float: sum float convolutions term by term only, where the target has a kernel that does it faster and
            rounds more (Winograd's algorithm on AArch64).
    """

    float_storage: Literal["fp32", "fp16"] = "fp32"
    input_dtype: Literal["float32", "uint8"] = "float32"
    exact_float: bool = False

    @classmethod
    def of(cls, result: Report) -> Storage:
        """That of an export.

        Raises:
            InputError: the report names one that there is not.
        """
        chosen = {}
        for key, known in (
            ("float_storage", ("fp32", "fp16")),
            ("input_dtype", ("float32", "uint8")),
        ):
            chosen[key] = result.options.get(key, known[0])
            if chosen[key] not in known:
                raise InputError(f"report.json names an unknown {key}", "export again")
        return cls(**chosen, exact_float=EXACT_FLOAT in result.options)  # type: ignore[arg-type]

    def options(self) -> dict[str, str]:
        """For the report."""
        stored = {"float_storage": self.float_storage, "input_dtype": self.input_dtype}
        return stored | ({EXACT_FLOAT: "true"} if self.exact_float else {})


@dataclass(frozen=True)
class ExportOptions:
    """What `export` can be told beside the model, the target and the folder.

    Args:
        load: how to read the model file.
        name: C identifier of the model; None: made from the file's name.
        force: replace a folder that is not an earlier export.
        require_binary: refuse the model unless at least so many layers are binary, or unless every layer is whose
            name matches this pattern (see fnmatch).
        binarize_weights: replace the real weights of layers with a binary input by their signs, times the mean of
            their magnitudes.
        max_flash: refuse a model whose code and constants take more bytes.
        max_ram: refuse a model whose arena and stack take more bytes.
        storage: how the C program stores float weights and inputs.
        input_scale: what the network takes is multiplied by it before the network's own first layer; one number, or one
            for each channel of its only input.
        input_offset: likewise, and then added.
        quantize_float: compute stem, downsamples and classifier in 8-bit integers, calibrated on these samples: X.npy
            or its array, as `check` takes them, or X.npz for several inputs.
    """

    load: LoadOptions = field(default_factory=LoadOptions)
    name: str | None = None
    force: bool = False
    require_binary: int | str | None = None
    binarize_weights: bool = False
    max_flash: int | None = None
    max_ram: int | None = None
    storage: Storage = field(default_factory=Storage)
    input_scale: tuple[float, ...] | None = None
    input_offset: tuple[float, ...] | None = None
    quantize_float: str | os.PathLike[str] | SampleArrays | None = None


def export(
    model: Any,
    example_inputs: Any = None,
    *,
    target: str,
    out: str | os.PathLike[str] | None = None,
    options: ExportOptions | None = None,
    progress: Progress = lambda stage: None,
) -> Report:
    """Export a trained network: model.onnx, model.tflite, c/, report.json and report.html.

    Args:
        model: a file in any form of docs/forms.md, or an nn.Module.
        example_inputs: for an nn.Module: the arguments of its forward, batch 1.
        target: a name that `r2b-edge targets` lists.
        out: the folder; default r2b-out/<name>-<target>. It is replaced as a whole or not at all.
        options: see ExportOptions.
        progress: told about each stage.

    Returns:
        The report, which is also in the folder.

    Raises:
        R2BError: see r2b_edge.errors; an earlier export in `out` is then left as it was.
    """
    options = options or ExportOptions()
    board = targets.load(target)
    budget = Budget(options.max_flash, options.max_ram)
    stem = shown_name(model)
    name = c_name(options.name, stem)
    out = Path(out) if out is not None else default_folder(name, target)
    if isinstance(model, str | os.PathLike) and Path(os.path.realpath(model)).is_relative_to(
        os.path.realpath(out)
    ):
        raise InputError(f"{out} holds the model itself", "choose another folder with -o")
    with replacing(out, options.force) as folder:
        progress("exporting to ONNX")
        onnx_path = folder / "model.onnx"
        loaded = load_model(
            model, example_inputs, onnx_path, options.load, options.binarize_weights
        )
        if options.input_scale is not None or options.input_offset is not None:
            scale, offset = options.input_scale or (1.0,), options.input_offset or (0.0,)
            passes.scale_input(onnx_path, scale, offset)
            loaded.notes.append(
                f"the input is scaled in the network: times {_listed(scale)}, plus {_listed(offset)}; samples are "
                "what it is before that"
            )
        progress("finding the binary layers")
        graph = graph_of(onnx_path, name, options.storage)
        require_binary(graph.findings, options.require_binary)
        kept, trained = options.storage.options(), onnx_path
        if options.quantize_float is not None:
            progress("quantising float layers")
            trained = shutil.copyfile(onnx_path, folder / FLOAT_MODEL)
            graph = quantized_graph(onnx_path, name, options.storage, options.quantize_float)
            kept |= {QUANTIZED: "int8"}
        progress("writing model.tflite")
        (folder / "model.tflite").write_bytes(convert(graph).data)
        progress("writing c/")
        program = program_of(
            graph, board, name, loaded.sha256, exact_float=options.storage.exact_float
        )
        refuse_excess(program, board, budget)
        c_exporter.write(program, board, folder / "c")
        progress(f"building for {target}")
        measured = _measure(folder / "c", board)
        progress("writing the report")
        artifacts = Artifacts(stem, loaded, trained, (folder / "model.tflite").stat().st_size)
        result = collect(artifacts, graph, program, board, measured, kept)
        memory, unknown = result.memory, "; ".join(measured.notes)
        refuse_linked(memory.flash_bytes, memory.ram_bytes, budget, unknown)
        report.write(result, folder)
    return result


def load_model(
    model: Any, example_inputs: Any, onnx_path: Path, options: LoadOptions, binarize_weights: bool
) -> Loaded:
    """Write model.onnx; what was changed on the way stands in the notes.

    Args:
        model: see `export`.
        example_inputs: see `export`.
        onnx_path: where model.onnx goes; its folder exists.
        options: how to read a file.
        binarize_weights: see ExportOptions.

    Raises:
        InputError: the model is neither a file nor a module, or cannot be read.
        UnsupportedError: see frontend.to_onnx; or there are no weights to binarise.
    """
    if isinstance(model, str | os.PathLike):
        loaded = to_onnx(Path(model), onnx_path, options)
    elif hasattr(model, "named_modules") and not isinstance(model, type):
        loaded = module_to_onnx(model, example_inputs, onnx_path, options)
    else:
        what = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise InputError(
            f"a model is a file or an nn.Module, not {what}",
            "make the module first, and load a state_dict into it",
        )
    if binarize_weights:
        changed = passes.binarize_weights(onnx_path)
        loaded.notes.extend(
            f"{name}: its weights were replaced by sign(w) * mean|w| of each output channel"
            for name in changed
        )
        if not changed:
            loaded.notes.append(
                "--binarize-weights changed nothing: no layer has a binary input and real weights"
            )
    return loaded


def default_folder(name: str, target: str) -> Path:
    """Where an export goes that was not told where."""
    return Path("r2b-out") / f"{name}-{target}"


def graph_of(onnx_path: Path, name: str, storage: Storage | None = None) -> Graph:
    """The graph that the exporters and the checks work on: imported, rewritten, verified."""
    storage = storage or Storage()
    model = read_onnx(onnx_path)
    graph = _graph_of(model, name, storage)
    if graph.rounding:
        # What passes made of the weights, biases among it, has to come from the rounded ones.
        rounding = graph.rounding
        round_model(model, rounding)
        graph = _graph_of(model, name, storage)
        assert graph.rounding.keys() == rounding.keys()
        assert all(np.abs(again - 1).max() < ROUNDED_TWICE for again in graph.rounding.values())
        graph.rounding = rounding
    return graph


def quantized_graph(
    onnx_path: Path,
    name: str,
    storage: Storage,
    samples: str | os.PathLike[str] | SampleArrays,
) -> Graph:
    """Let float layers of model.onnx compute in 8-bit integers; the graph then, with what was found before.

    Args:
        onnx_path: is replaced.
        name: of the graph.
        storage: see `graph_of`.
        samples: see `quantize`.

    Raises:
        InputError: the samples do not fit, or there is no layer to quantise; the file stays as it was.
    """
    model = read_onnx(onnx_path)
    trained = _graph_of(model, name, dataclasses.replace(storage, float_storage="fp32"))
    notes = quantize(model, trained, samples)
    onnx.save(model, onnx_path)
    graph = graph_of(onnx_path, name, storage)
    graph.findings = trained.findings
    graph.notes = notes + graph.notes
    return graph


def _graph_of(model: onnx.ModelProto, name: str, storage: Storage) -> Graph:
    graph = from_onnx(model, name)
    verify(graph, "from_onnx")
    if storage.input_dtype == "uint8":
        graph.uint8_inputs = frozenset(graph.inputs)
    graph.stored_weights = stored_weights(graph, model)
    if storage.float_storage == "fp32":
        return passes.run(graph)
    return passes.run(graph, passes.HALVES)


def program_of(
    graph: Graph,
    board: targets.Target,
    name: str,
    sha256: str,
    streams: c_exporter.Streams = "smaller",
    worth: int = WORTH,
    exact_float: bool = False,
) -> c_exporter.Program:
    """The C program of a graph for a target; `exact_float`, and for tests `streams` and `worth`: see build_program."""
    provenance = {"tool": f"r2b-edge {__version__}", "model sha256": sha256, "target": board.name}
    return c_exporter.build_program(
        graph, board, name, provenance, streams=streams, worth=worth, exact_float=exact_float
    )


def c_name(wanted: str | None, stem: str) -> str:
    """The C identifier of a model.

    Raises:
        InputError: `wanted` is none.
    """
    if wanted is not None:
        return check_name(wanted)
    name = re.sub(r"[^a-z0-9]+", "_", stem.rsplit(".", 1)[0].lower()).strip("_")[:40]
    name = name.removeprefix("r2b_")  # every symbol begins with it
    if not name:
        return "model"
    return name if name[0].isalpha() and name not in RESERVED else f"m_{name}"


def shown_name(model: Any) -> str:
    """What a model is called: a file's name without its folder, or a module's class.

    It is text that JSON can hold: bytes of a name that are no UTF-8 become U+FFFD.
    """
    if isinstance(model, str | os.PathLike):
        return os.fsencode(Path(model).name).decode("utf-8", "replace")
    return type(model).__name__


def _listed(numbers: tuple[float, ...]) -> str:
    return ", ".join(f"{number:.9g}" for number in numbers)


def _measure(c_dir: Path, board: targets.Target) -> Measured:
    """Build c/ elsewhere; flash and data from the linked programs, stack from a run in the emulator."""
    from r2b_edge.runners import connect
    from r2b_edge.toolchain import elf
    from r2b_edge.toolchain.build import build

    with tempfile.TemporaryDirectory(prefix="r2b-build-") as scratch:
        # A copy, since Ninja does not take every path that a user's folder may have.
        copy = shutil.copytree(c_dir, Path(scratch, "c"))
        try:
            built = build(copy, board, Path(scratch, "build"))
        except ToolMissingError as error:
            return Measured(notes=(f"not built: {error}",))
        cost = elf.cost(built.with_model, built.without_model)
        measured = Measured(
            compiler=built.compiler.version, flags=board.flags, flash=cost.flash, data=cost.ram
        )
        try:
            with connect("emulator", board).open(built.runner) as session:
                return measured.with_stack(session.stack())
        except ToolMissingError as error:
            return measured.with_note(f"stack not measured: {error}")
