"""A network of the table through the real pipeline: .pt2, model.onnx, graph, and everything that can run it."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from harness import STRICT, Target, Toolchain

from r2b_edge import passes
from r2b_edge.checking.c_program import CExecutor
from r2b_edge.checking.executor import Executor, GraphExecutor, Values
from r2b_edge.checking.lce import LceExecutor
from r2b_edge.checking.reference import Reference
from r2b_edge.checking.verify import Verdict, Verifier
from r2b_edge.exporters.c import Program, build_program
from r2b_edge.exporters.c.render import render
from r2b_edge.exporters.tflite.convert import convert
from r2b_edge.frontend import save
from r2b_edge.frontend.normalise import normalise
from r2b_edge.frontend.onnx_file import load as load_onnx
from r2b_edge.frontend.pt2 import load
from r2b_edge.frontend.torch_export import program_to_onnx
from r2b_edge.graph import Graph
from r2b_edge.graph.from_onnx import from_onnx
from r2b_edge.graph.spec import verify
from r2b_edge.runners.process import ProcessChannel
from r2b_edge.runners.session import StreamSession

from .parts import trained
from .table import Net

SAMPLES = 3
TIME_LIMIT_S = 120.0


@dataclass(frozen=True)
class Canonical:
    """A network after the front end and all passes."""

    onnx: Path
    graph: Graph
    reference: Reference

    @property
    def binary(self) -> int:
        """Layers that were found to be binary."""
        return sum(finding.binary for finding in self.graph.findings)

    def reasons(self) -> dict[str, str]:
        """By layer, why the others are not."""
        return {f.name: f.reason for f in self.graph.findings if not f.binary}


def canonical(name: str, net: Net, folder: Path) -> Canonical:
    """The network as a user exports it, but in this process: one that reads a file imports torch for 4 s first."""
    save(trained(net.make(), net.inputs), _zeros(net), folder / "model.pt2")
    return _canonical(name, program_to_onnx(load(folder / "model.pt2")), folder)


def canonical_of_script(name: str, net: Net, folder: Path) -> Canonical:
    """The same from an ONNX file that the older exporter, based on TorchScript, wrote: what most people have."""
    file, module = folder / "user.onnx", trained(net.make(), net.inputs)
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(module, _zeros(net), file, dynamo=False, opset_version=13)
    return canonical_of_file(name, file)


def canonical_of_file(name: str, file: Path) -> Canonical:
    """An ONNX file of a user, as the front end takes it."""
    return _canonical(name, load_onnx(file, []), file.parent)


def _zeros(net: Net) -> tuple[torch.Tensor, ...]:
    return tuple(torch.zeros(shape) for shape in net.inputs)


def _canonical(name: str, model: onnx.ModelProto, folder: Path) -> Canonical:
    path = folder / "model.onnx"
    path.write_bytes(normalise(model, None, []).SerializeToString(deterministic=True))
    graph = from_onnx(path, name)
    verify(graph, "from_onnx")
    passes.run(graph)
    return Canonical(path, graph, Reference(path, graph))


class Compiler:
    """Builds runner programs with one toolchain; the kernels, which all networks share, are compiled once.

    Args:
        toolchain: the compiler with its flags, and the emulator.
        folder: where everything goes.
    """

    def __init__(self, toolchain: Toolchain, folder: Path) -> None:
        self.toolchain = toolchain
        self.folder = folder
        self._kernels: dict[str, Path] = {}

    @contextlib.contextmanager
    def executor(self, graph: Graph) -> Iterator[CExecutor]:
        """The generated C of a graph, compiled with every warning an error, and running."""
        program = build_program(graph, Target(), "net_" + re.sub(r"\W", "_", graph.name), {})
        file = self._build(program, self.folder / program.name)
        argv: list[str | Path] = [*self.toolchain.emulator, file]
        with StreamSession(ProcessChannel(argv), TIME_LIMIT_S) as session:
            yield CExecutor(program, session)

    def _build(self, program: Program, folder: Path) -> Path:
        for path, content in render(program, Target()):
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        sources = [name for name in program.sources if not name.endswith((".h", ".inc"))]
        for name in sources:
            if name not in self._kernels:
                self._kernels[name] = self.folder / f"{name}.o"
                self._run(folder, "-c", f"src/{name}", "-o", self._kernels[name])
        name, symbol = program.name, f"R2B_{program.name.upper()}_ARENA"
        self._run(
            folder,
            f'-DR2B_MODEL_HEADER="{name}.h"', f"-DR2B_MODEL=r2b_{name}_model",
            f"-DR2B_ARENA_BYTES={symbol}_BYTES", f"-DR2B_ARENA_ALIGNMENT={symbol}_ALIGNMENT",
            f"model/{name}.c", f"model/{name}_weights.c", "runner/runner.c", "runner/port_linux.c",
            "runner/pool_linux.c",
            *(self._kernels[source] for source in sources),
            "-pthread", "-o", "program",
        )  # fmt: skip
        return folder / "program"

    def _run(self, folder: Path, *arguments: str | Path) -> None:
        flags = [*STRICT, *self.toolchain.flags, "-Iinclude", "-Imodel"]
        argv = [self.toolchain.compiler, *flags, *arguments]
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]


def check(
    name: str,
    net: Net,
    folder: Path,
    compilers: Mapping[str, Compiler],
    row: Callable[..., None] = lambda **columns: None,
) -> None:
    """Assert that a network has its binary layers, and that every executor is exact, step by step and as a whole.

    Args:
        name: of the network.
        net: the network.
        folder: for its files.
        compilers: the C runtime's executors, by the name that the summary shows.
        row: is told the network's line of the summary, also of one that fails.
    """
    columns: dict[str, object] = {"name": name, "made": net.binary}
    wrong: dict[str, object] = {}
    equal: dict[str, str] = {}
    error, ties = 0.0, 0
    try:
        made = canonical(name, net, folder)
        columns["found"] = made.binary
        for shown, executor in _executors(made.graph, compilers):
            verdict = verdict_of(shown, executor, made)
            equal[shown] = f"{verdict.steps_exact}/{len(verdict.tallies)}"
            wrong |= {shown: found} if (found := faults(verdict)) else {}
            error = max(error, float_error(verdict, made))
            ties += verdict.margin_ties
    finally:
        row(**columns, equal=equal, error=error, ties=ties)
    assert made.binary == net.binary, made.reasons()
    assert set(net.layers) <= {f.name for f in made.graph.findings if f.binary}
    for layer, words in net.why.items():
        assert words in made.reasons()[layer]
    assert not wrong


def _executors(graph: Graph, compilers: Mapping[str, Compiler]) -> Iterator[tuple[str, Executor]]:
    yield "graph", GraphExecutor(graph)
    yield "tflite", LceExecutor(convert(graph))
    for shown, compiler in compilers.items():
        with compiler.executor(graph) as executor:
            yield shown, executor


def verdict_of(name: str, executor: Executor, net: Canonical, samples: int = SAMPLES) -> Verdict:
    """Every step on the reference's inputs, and the whole network, on seeded samples."""
    verifier = Verifier(name, executor, net.graph, net.reference)
    for sample in _samples(net.graph, samples):
        verifier.add(net.reference.run(sample))
    return verifier.verdict


def _samples(graph: Graph, count: int) -> Iterator[Values]:
    random = np.random.default_rng(7)
    for _ in range(count):
        shapes = {name: graph.type(name).shape for name in graph.inputs}
        yield {n: random.normal(size=shape).astype(np.float32) for n, shape in shapes.items()}


def faults(verdict: Verdict) -> list[str]:
    """What is not exact, step by step, and of the whole run."""
    inexact = [str(t) for step in verdict.tallies for t in step if not t.exact]
    return inexact + verdict.faults


def float_error(verdict: Verdict, net: Canonical) -> float:
    """The largest error of a float tensor of a step, relative to the largest value of that tensor in the samples."""
    samples = [net.reference.run(sample) for sample in _samples(net.graph, SAMPLES)]

    def largest(name: str) -> float:
        onnx_name = net.graph.tensors[name].origin.onnx
        return max(float(np.abs(values[onnx_name]).max()) for values in samples)

    floats = [t for step in verdict.tallies for t in step if t.dtype == "float32"]
    return max((t.max_abs_error / (largest(t.name) or 1.0) for t in floats), default=0.0)
