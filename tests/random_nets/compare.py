"""A batch of specs through every executor, with the Verifier that `check` uses."""

from __future__ import annotations

import math
import re
import shutil
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from r2b_edge.checking.compare import MAX_TIES, TOLERANCE, Tally
from r2b_edge.checking.executor import Executor, ExecutorStep, GraphExecutor, Values
from r2b_edge.checking.lce import LceExecutor
from r2b_edge.checking.reference import Reference
from r2b_edge.checking.verify import Verifier
from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.exporters.c import Program
from r2b_edge.exporters.c.split import WORTH
from r2b_edge.exporters.tflite.convert import convert
from r2b_edge.graph.graph import Graph
from r2b_edge.ops import Dense, FloatConv, QuantConv
from r2b_edge.pipeline import Storage, graph_of, program_of, quantized_graph

from .build import Built, build, save
from .programs import MACHINES, ArenaExecutor, Library, Machine, Server
from .spec import Net

T = TypeVar("T")

REFUSALS: dict[str, str] = {}
"""What the tool may refuse of these networks, nothing at present: part of the message -> its name in the tallies."""


PROBES = 1
"""Of each step beside the samples."""

FEW = 8
"""Values of a tensor."""


def ties_allowed(bits: int) -> float:
    """Margin ties among the bits of a run: the contract's share of a tensor, since one of a small tensor is more."""
    return MAX_TIES * bits


@dataclass
class Outcome:
    """What became of one network.

    Args:
        spec: the network.
        refused: a value of REFUSALS; "": it went through.
        faults: mismatches and crashes, one line each.
        tensors: compared tensors, over all executors.
        bits: compared bits.
        ties: margin ties among them.
        streams: steps that read a map by rows, over all programs.
        cut: steps in several tasks, over all programs.
        integers: layers in 8-bit integers.
    """

    spec: Net
    refused: str = ""
    faults: list[str] = field(default_factory=list)
    tensors: int = 0
    bits: int = 0
    ties: int = 0
    streams: int = 0
    cut: int = 0
    integers: int = 0

    @property
    def kind_of_fault(self) -> str:
        """The first fault without names and numbers, so that one bug has one kind; "" without a fault."""
        first = self.faults[0] if self.faults else ""
        return re.sub(r"\(.*\): Tally.*|'[^']*'|[0-9]+(, [0-9]+)*", "_", first)[:100]


@dataclass
class _Job:
    outcome: Outcome
    built: Built
    graph: Graph
    reference: Reference
    values: list[Values]
    executors: dict[str, Executor]
    programs: dict[str, Program]


class Bench:
    """Runs batches; keeps the compiled kernels between them.

    Args:
        folder: scratch space.
        machines: where the C programs run.
    """

    def __init__(self, folder: Path, machines: Sequence[Machine] = MACHINES) -> None:
        self.folder = folder
        self.machines = machines
        self.libraries = {machine.name: Library(machine, folder) for machine in machines}

    def compare(self, specs: Sequence[Net], make: Callable[[Net], Built] = build) -> list[Outcome]:
        """The outcomes in order. A crash of a program is told apart from others by running each alone."""
        scratch = self.folder / "batch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        outcomes = [Outcome(s) for s in specs]
        jobs = []
        for index, outcome in enumerate(outcomes):
            prepare = partial(self._prepared, outcome, make, scratch, index)
            job = _guarded(outcome, "prepared", prepare)
            if job is not None:
                jobs.append(job)
        self._verify(jobs, scratch)
        return outcomes

    def _prepared(
        self, outcome: Outcome, make: Callable[[Net], Built], scratch: Path, index: int
    ) -> _Job:
        built = make(outcome.spec)
        path = save(built, scratch / f"net{index}.onnx")
        spec = outcome.spec
        storage = Storage("fp16" if spec.half else "fp32", "uint8" if spec.uint8 else "float32")
        graph = graph_of(path, f"net{index}", storage)
        if spec.quantised and any(isinstance(n.op, FloatConv | Dense) for n in graph.nodes):
            graph = _in_integers(path, built, graph, storage)
            outcome.integers = sum(isinstance(n.op, QuantConv) for n in graph.nodes)
        executors: dict[str, Executor] = {
            "graph": GraphExecutor(graph), "tflite": LceExecutor(convert(graph)),
        }  # fmt: skip
        programs = {}
        for machine in self.machines:
            turns = machine.turns()
            programs[machine.name] = program_of(
                graph,
                turns[index % len(turns)],
                graph.name,
                "",
                streams=machine.streams,
                worth=index % 2 * WORTH,  # half of them are cut into tasks, however small
            )
        outcome.cut = sum(s.concurrent > 1 for p in programs.values() for s in p.steps)
        outcome.streams = sum(bool(s.stream) for p in programs.values() for s in p.steps)
        reference = Reference(path, graph)
        values = [reference.run(sample) for sample in built.samples]
        return _Job(outcome, built, graph, reference, values, executors, programs)

    def _verify(self, jobs: list[_Job], scratch: Path) -> None:
        if not jobs:
            return
        links = {
            machine: self.libraries[machine.name].link(
                [job.programs[machine.name] for job in jobs], scratch / machine.name
            )
            for machine in self.machines
        }
        with ExitStack() as stack:
            servers: dict[str, Server] = {}
            for index, job in enumerate(jobs):
                for machine, program in links.items():
                    if machine.name not in servers:
                        servers[machine.name] = Server(machine, program)
                        stack.callback(servers[machine.name].close)
                    job.executors[machine.name] = ArenaExecutor(
                        job.programs[machine.name], index, servers[machine.name]
                    )
                for name in job.executors:
                    if _guarded(job.outcome, name, partial(_judge, job, name)) is None:
                        servers.pop(name, None)  # it may have died, or wait for more of a request


def _in_integers(path: Path, built: Built, graph: Graph, storage: Storage) -> Graph:
    """The graph with its float layers in 8-bit integers; as it is where none of them can be."""
    samples = {n: np.concatenate([s[n] for s in built.samples]) for n in built.samples[0]}
    try:
        return quantized_graph(path, graph.name, storage, samples)
    except InputError as error:
        if "finds no layer to quantise" not in str(error):
            raise
        return graph


def _judge(job: _Job, name: str) -> bool:
    """Add what the Verifier finds of one executor; True when it has run."""
    outcome, executor = job.outcome, job.executors[name]
    verifier = Verifier(name, executor, job.graph, job.reference, probes=PROBES)
    for values in job.values:
        verifier.add(values)
    verdict = verifier.verdict
    for step, tallies in zip(executor.steps, verdict.tallies, strict=True):
        for tally in tallies:
            outcome.tensors += 1
            if tally.dtype == "bits":
                outcome.bits += tally.compared
                outcome.ties += tally.margin_ties
            wrong = tally.wrong + tally.wrong_probed > 0 and not _cancelled(job, step, tally)
            tied = tally.margin_ties > 0 and job.built.exact and not outcome.integers
            if wrong or tied or tally.zeros:
                outcome.faults.append(f"{name}: {step.nodes}: {tally}")
    outcome.faults += [f"{name}: {f}" for f in verdict.faults]
    return True


def _cancelled(job: _Job, step: ExecutorStep, tally: Tally) -> bool:
    """Is a float tensor that is off as good as what the step reads?

    One of a few values can cancel to next to nothing, and all can be 0 for a sample, where {0, 1} activations are all 0
    or a layer sees its border only: no scale to compare by.
    """
    tensor = job.graph.tensors[tally.name]
    shown = min(float(np.abs(values[tensor.origin.onnx]).max()) for values in job.values)
    few = math.prod(tensor.type.shape) < FEW or shown == 0
    if tensor.type.dtype != "float32" or not few:
        return False
    return max(tally.max_abs_error, tally.max_probed_error) <= TOLERANCE * _scale(job, step)


def _scale(job: _Job, step: ExecutorStep) -> float:
    """The largest magnitude that a step reads in any sample, 1 at least."""
    tensors = [job.graph.tensors[name] for name in step.inputs]
    read = [job.reference.value(tensor, values) for values in job.values for tensor in tensors]
    return max(1.0, *(float(np.abs(v).max()) for v in read))


def _guarded(outcome: Outcome, name: str, work: Callable[[], T]) -> T | None:
    """What `work` gives. A known refusal is counted; any other exception is the network's fault; both give None."""
    try:
        return work()
    except UnsupportedError as error:
        known = next((called for part, called in REFUSALS.items() if part in str(error)), None)
        if known is None:
            outcome.faults.append(f"{name}: refused: {error}")
        else:
            outcome.refused = known
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        message = re.sub(r"\s+", " ", str(error))[:500]
        outcome.faults.append(f"{name}: {type(error).__name__} at {where}: {message}")
    return None
