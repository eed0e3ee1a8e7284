"""`check`: every executor of an export against onnxruntime, and the instructions of each step."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from r2b_edge import report, targets
from r2b_edge.checking.c_program import CExecutor
from r2b_edge.checking.effect import EffectTally
from r2b_edge.checking.executor import Executor, GraphExecutor, Values
from r2b_edge.checking.lce import LceExecutor
from r2b_edge.checking.quantize import FLOAT_MODEL, QUANTIZED
from r2b_edge.checking.reference import Reference
from r2b_edge.checking.revise import revise
from r2b_edge.checking.samples import (
    SampleArrays,
    random_samples,
    read_labels,
    read_samples,
    split_samples,
)
from r2b_edge.checking.verify import Verifier
from r2b_edge.errors import InputError, ToolMissingError
from r2b_edge.exporters import c as c_exporter
from r2b_edge.exporters.c import Program
from r2b_edge.exporters.tflite.convert import convert
from r2b_edge.graph.graph import Array
from r2b_edge.pipeline import Storage, graph_of, program_of
from r2b_edge.report import Report, Skipped
from r2b_edge.runners import connect, count
from r2b_edge.toolchain.build import BuildError, build
from r2b_edge.version import __version__

MOST_THREADS = 256
"""What the runner takes."""

Progress = Callable[[str, int, int], None]
"""Called with a stage and how much of it is done, of how much."""


def check(
    out: str | os.PathLike[str],
    *,
    samples: str | os.PathLike[str] | SampleArrays | None = None,
    labels: str | os.PathLike[str] | Array | None = None,
    device: str = "emulator",
    threads: int = 1,
    progress: Progress = lambda stage, done, of: None,
) -> Report:
    """Check an export step by step, and update its report.

    Args:
        out: a folder that `export` wrote.
        samples: X.npy or its array, float32 or uint8, in the model's layout, first axis = samples; for several inputs
            X.npz or its arrays by name; None: 8 seeded.
        labels: Y.npy or its array, integers, one a sample: gives accuracies.
        device: where the C program runs; see r2b_edge.runners.connect.
        threads: that the C program runs on, 1 to MOST_THREADS; its instructions are counted on one as well.
        progress: told about each sample.

    Returns:
        The new report, which is also in the folder. Whether all is exact: `fault_of(report)`.

    Raises:
        InputError: no export in `out`, samples or labels that do not fit, or threads that the target does not have.
        DeviceError: the device or the emulator failed.
    """
    out = Path(out)
    old = report.read(out)
    if old.tool.version != __version__:
        raise InputError(
            f"{out} was exported by r2b-edge {old.tool.version}; this is {__version__}",
            "export again",
        )
    board = targets.load(old.target)
    if threads > 1 and board.os == "none":
        raise InputError(f"{board.name} runs one thread, not {threads}", "leave --threads out")
    if not 1 <= threads <= MOST_THREADS:
        raise InputError(f"a program runs 1 to {MOST_THREADS} threads, not {threads}")
    storage = Storage.of(old)
    graph = graph_of(out / "model.onnx", str(old.options.get("name", "")), storage)
    program = program_of(
        graph, board, graph.name, old.model.sha256, exact_float=storage.exact_float
    )
    if [step.kernel for step in old.steps] != [step.called for step in program.steps]:
        raise InputError(f"{out}: report.json and model.onnx do not fit together", "export again")
    inputs = (
        random_samples(graph) if samples is None else split_samples(read_samples(samples), graph)
    )
    answers = None if labels is None else read_labels(labels, len(inputs), graph)
    reference = Reference(out / "model.onnx", graph)
    effect = None
    quantised = QUANTIZED in old.options
    if graph.rounding or quantised:
        trained = out / (FLOAT_MODEL if quantised else "model.onnx")
        effect = EffectTally(reference, Reference(trained, graph, as_trained=True))

    with ExitStack() as stack:
        executors: dict[str, Executor] = {"graph": GraphExecutor(graph)}
        skipped: dict[str, str] = {}
        counts: count.Counts | str = "the C program did not run"
        spread: count.ThreadCounts | None = None
        where = device
        if reason := LceExecutor.available():
            skipped["tflite"] = reason
        else:
            # The shipped file, not what would be written now.
            data = _read(out / "model.tflite")
            executors["tflite"] = LceExecutor(convert(graph), data)
        try:
            connected = connect(device, board)
            where = connected.name
            progress(f"building for {board.name}", 0, 1)
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="r2b-check-")))
            # A copy, since Ninja does not take every path that a user's folder may have.
            copy = shutil.copytree(_folder(out / "c"), scratch / "c")
            try:
                runner = build(copy, board, scratch / "build").runner
            except BuildError as error:
                c_exporter.write(program, board, scratch / "fresh")
                if _contents(copy) == _contents(scratch / "fresh"):
                    raise  # what we wrote ourselves does not compile
                raise InputError(
                    f"{out / 'c'} was changed since its export: {error.message}", "export again"
                ) from error
            session = stack.enter_context(connected.open(runner))
            if threads > 1:
                session.threads(threads)
            executors["c"] = CExecutor(program, session)
            progress("counting instructions", 0, 1)
            first = _packed(program, inputs[0])
            counts = _count(runner, board, first, scratch / "count")
            if threads > 1 and not isinstance(counts, str):
                folder = scratch / "threads"
                spread = count.count_threads(runner, board, first, folder, threads)
        except ToolMissingError as error:
            skipped["c"] = str(error)
        verifiers = [Verifier(name, e, graph, reference) for name, e in executors.items()]
        correct = _verify(verifiers, reference, inputs, answers, progress, effect)

    verdicts = {verifier.name: verifier.verdict for verifier in verifiers}
    accuracy = None if correct is None else correct / len(inputs)
    changed = None if effect is None else effect.effect()
    new = revise(old, graph, verdicts, skipped, accuracy, counts, where, changed, spread)
    report.write(new, out)
    return new


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}", "export again") from error


def _contents(folder: Path) -> dict[Path, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in files}


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise InputError(f"{path} is missing", "export again")
    return path


def _verify(
    verifiers: list[Verifier],
    reference: Reference,
    inputs: list[Values],
    labels: Array | None,
    progress: Progress,
    effect: EffectTally | None = None,
) -> int | None:
    """Show every sample to every verifier; how many the reference gets right, None without labels or classes."""
    correct: int | None = None
    # The threads pay since the C program and LCE's interpreter work outside of Python.
    with ThreadPoolExecutor(len(verifiers)) as pool:
        for index, sample in enumerate(inputs):
            progress("checking", index, len(inputs))
            values = reference.run(sample)
            label = None if labels is None else int(labels[index])
            top = reference.top1(reference.outputs(values))
            if label is not None and top is not None:
                correct = (correct or 0) + (top == label)
            if effect is not None:
                effect.add(sample, values, label)
            for _ in pool.map(lambda verifier: verifier.add(values, label), verifiers):  # noqa: B023
                pass
    progress("checking", len(inputs), len(inputs))
    return correct


def _packed(program: Program, sample: Values) -> dict[int, bytes]:
    """A sample as the program's input tensors have it, by their indices."""
    tensors = [program.tensor[name] for name in program.inputs]
    return {tensor.index: tensor.pack(sample[tensor.value]) for tensor in tensors}


def _count(
    runner: Path, board: targets.Target, inputs: dict[int, bytes], folder: Path
) -> count.Counts | str:
    """Instructions of one inference of these inputs, or why nothing can count them."""
    if obstacle := count.obstacle(board):
        return obstacle
    try:
        return count.count_instructions(runner, board, inputs, folder)
    except ToolMissingError as error:
        return str(error)


def fault_of(result: Report) -> str:
    """Empty if every executor that ran is exact, else one line about the first that is not."""
    assert result.check is not None
    for name, executor in result.check.executors.items():
        if isinstance(executor, Skipped) or executor.exact:
            continue
        bad = next((t for t in executor.tensors if not t.exact), None)
        if bad is None:
            return f"{name}: {executor.faults[0]}"
        return (
            f"{name}: {executor.steps - executor.steps_exact} of {executor.steps} steps are not exact, "
            f"first step {bad.step}, tensor {bad.tensor!r}"
        )
    return ""


def unchecked(result: Report) -> str:
    """Empty if the C program ran, else why it did not: a check that was asked for is not silently less.

    That LCE has no wheel for a machine is no reason to fail there: `model.tflite` stands as skipped in the report.
    """
    assert result.check is not None
    c = result.check.executors.c
    return f"the C program was not checked: {c.skipped}" if isinstance(c, Skipped) else ""
