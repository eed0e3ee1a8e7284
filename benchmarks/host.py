"""Latency of Real-to-Binary ResNet-18 at 224x224 on this machine, beside its peers: python -m benchmarks.host.

Our C program for target `host`: the portable kernels with the compiler's own popcount, for this machine's processor.
Beside it LCE's interpreter with the same model.tflite, and the float network in onnxruntime and in LiteRT with XNNPACK.
One thread each, one inference of each in turn, so that whatever disturbs the machine disturbs all; medians of one run,
of kind `host`: they compare these programs here, and say nothing of a board.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from benchmarks import resnet18
from r2b_edge import targets
from r2b_edge.checking.lce import LceExecutor, interpreter
from r2b_edge.pipeline import graph_of, program_of
from r2b_edge.runners import connect
from r2b_edge.toolchain.build import build

Timer = Callable[[], float]
"""Runs one inference; how long it took, in ms."""


def _timed(run: Callable[[], object]) -> Timer:
    def once() -> float:
        before = time.perf_counter()
        run()
        return 1e3 * (time.perf_counter() - before)

    return once


def _ours(out: Path, scratch: Path, stack: ExitStack) -> tuple[str, Timer]:
    board = targets.load("host")
    program = program_of(graph_of(out / "model.onnx", "net"), board, "net", "0" * 64)
    built = build(out / "c", board, scratch / "build")
    session = stack.enter_context(connect("host", board).open(built.runner))
    tensor = program.tensor[program.inputs[0]]
    packed, last = tensor.pack(resnet18.SAMPLE), len(program.steps) - 1

    def once() -> float:
        session.load(tensor.index, packed)  # its place in the arena is used again
        timing = session.run(0, last)
        assert timing.unit == "ns"
        return sum(timing.counts) / 1e6

    return f"r2b-edge, target host, {built.compiler.version}", once


def _lce(data: bytes) -> tuple[str, Timer]:
    runner, nhwc = interpreter(data, xnnpack=True), resnet18.SAMPLE.transpose(0, 2, 3, 1).copy()
    name = f"Larq Compute Engine {version('larq-compute-engine')}, the same model.tflite"
    return name, _timed(lambda: runner.predict([nhwc]))


def _onnxruntime(model: bytes) -> tuple[str, Timer]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: resnet18.SAMPLE}
    name = f"onnxruntime {onnxruntime.__version__}, the float network"
    return name, _timed(lambda: session.run(None, feed))


def _litert(model: bytes) -> tuple[str, Timer]:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=model, num_threads=1)
    runner.allocate_tensors()
    nhwc = resnet18.SAMPLE.transpose(0, 2, 3, 1)
    runner.set_tensor(runner.get_input_details()[0]["index"], nhwc)
    return f"LiteRT {version('ai-edge-litert')} with XNNPACK, the float network", _timed(
        runner.invoke
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=25, help="inferences of each")
    chosen = parser.parse_args(arguments)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="r2b-benchmark-")))
        out = scratch / "out"
        resnet18.checked("host", out)
        twin = resnet18.FloatTwin.make()
        contenders = [_ours(out, scratch, stack), _onnxruntime(twin.onnx), _litert(twin.tflite)]
        if reason := LceExecutor.available():
            print(f"Larq Compute Engine is not measured: {reason}")
        else:
            contenders.insert(1, _lce((out / "model.tflite").read_bytes()))
        for _, once in contenders:
            once()  # the first time warms up
        rounds = [[once() for _, once in contenders] for _ in range(chosen.runs)]
    times = list(zip(*rounds, strict=True))
    medians = [statistics.median(taken) for taken in times]
    floats = medians[-2]  # onnxruntime's
    print(f"host: {_processor()}, one thread, medians of {chosen.runs} inferences in turn\n")
    print("| runtime | median, ms | least, ms | of onnxruntime's |\n|---|---|---|---|")
    for (name, _), taken, median in zip(contenders, times, medians, strict=True):
        print(f"| {name} | {median:.1f} | {min(taken):.1f} | {median / floats:.2f} |")


def _processor() -> str:
    """This machine's processor, as Linux calls it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
