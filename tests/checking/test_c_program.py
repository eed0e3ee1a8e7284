"""The C program as an executor: what it leaves unwritten, or writes wrongly, does not look right by chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from checking_nets import r2b_unit
from exactness import canonical, inexact_steps
from small_onnx import Net, floats

from r2b_edge import targets
from r2b_edge.checking.c_program import CExecutor
from r2b_edge.checking.reference import Reference
from r2b_edge.checking.verify import Verdict, Verifier
from r2b_edge.exporters import c as c_exporter
from r2b_edge.graph import Graph
from r2b_edge.pipeline import program_of
from r2b_edge.runners import Info, Session, Timing, connect
from r2b_edge.toolchain.build import build


@dataclass(frozen=True)
class Built:
    """A small net with an odd number of channels, so that words of bits have a tail; and its runner."""

    graph: Graph
    reference: Reference
    program: c_exporter.Program
    runner: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[..., None]) -> Built:
    require_tool("cmake", "gcc")
    folder = tmp_path_factory.mktemp("built")
    random = np.random.default_rng(11)
    net = Net((1, 5, 7, 7))
    y = r2b_unit(net, "x", 5, random, "weights", "norm", "dense")
    y = r2b_unit(net, y, 5, random, "weights", "norm", "dense")
    mean = net.op("Flatten", net.op("GlobalAveragePool", y))
    net.op("Gemm", mean, floats(random, 5, 4), floats(random, 4))
    graph, reference = canonical(net, folder)
    host = targets.load("host")
    program = program_of(graph, host, "net", "0" * 64)
    c_exporter.write(program, host, folder / "c")
    return Built(graph, reference, program, build(folder / "c", host, folder / "build").runner)


class Wrapped(Session):
    """A session whose answers a test spoils; itself, it changes nothing."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def info(self) -> Info:
        return self.session.info()

    def load(self, tensor: int, data: bytes) -> None:
        self.session.load(tensor, data)

    def fill(self, byte: int) -> None:
        self.session.fill(byte)

    def threads(self, count: int) -> None:
        self.session.threads(count)

    def run(self, first: int, last: int) -> Timing:
        return self.session.run(first, last)

    def run_marked(self, first: int, last: int) -> None:
        self.session.run_marked(first, last)

    def read(self, tensor: int) -> bytes:
        return self.session.read(tensor)

    def stack(self) -> int:
        return self.session.stack()

    def close(self) -> None:
        self.session.close()


@pytest.fixture
def session(built: Built) -> Iterator[Session]:
    with connect("host", targets.load("host")).open(built.runner) as opened:
        yield opened


def verdict_of(built: Built, session: Session, samples: int = 2) -> Verdict:
    """Of the same sample again and again: what is stale is what would be right."""
    executor = CExecutor(built.program, session)
    verifier = Verifier("c", executor, built.graph, built.reference, probes=0)
    x = floats(np.random.default_rng(3), 1, 5, 7, 7)
    for _ in range(samples):
        verifier.add(built.reference.run({"x": x}))
    return verifier.verdict


# One step for the input's bits and mean; in each unit two dense steps and a convolution, whose step writes map, mean
# and bits, the last one of them the mean only; the last Dense.
STEPS, TENSORS = 8, 2 + (1 + 1 + 3) + (1 + 1 + 1) + 1


def test_an_honest_program_is_exact(built: Built, session: Session) -> None:
    verdict = verdict_of(built, Wrapped(session))
    assert verdict.exact
    assert len(verdict.tallies) == verdict.steps_exact == STEPS
    tallies = [tally for step in verdict.tallies for tally in step]
    assert len(tallies) == TENSORS
    for tally in tallies:
        size = int(np.prod(built.graph.type(tally.name).shape))
        assert (tally.compared, tally.hidden) == (2 * size, 0)


@pytest.mark.parametrize("missing", range(STEPS))
def test_a_step_that_does_nothing_is_found(missing: int, built: Built, session: Session) -> None:
    """In a sample that was seen before, with the right outputs still in the arena but for the poison."""

    class Skipping(Wrapped):
        after = 0

        def run(self, first: int, last: int) -> Timing:
            if first == last == missing and self.after >= STEPS:
                return [0]
            self.after += first == last
            return super().run(first, last)

    verdict = verdict_of(built, Skipping(session))
    assert inexact_steps(verdict) == [missing]
    for tally in verdict.tallies[missing]:
        size = int(np.prod(built.graph.type(tally.name).shape))
        # Nothing in the first sample; in the second all of it, but where an input lies in the same place.
        assert size // 2 < tally.wrong <= size


def test_nothing_lies_in_the_arena_but_what_is_given(built: Built, session: Session) -> None:
    """Before each run: every tensor that overlaps none of the inputs holds poison."""
    seen = []

    class Looking(Wrapped):
        def run(self, first: int, last: int) -> Timing:
            steps = built.program.steps
            given = built.program.inputs if first < last else steps[first].inputs
            places = [built.program.tensor[name] for name in given]
            for tensor in built.program.tensors:
                apart = all(
                    tensor.offset + tensor.bytes <= p.offset or p.offset + p.bytes <= tensor.offset
                    for p in places
                )
                if apart:
                    assert self.read(tensor.index) == b"\xff" * tensor.bytes
                    seen.append(tensor.index)
            return super().run(first, last)

    assert verdict_of(built, Looking(session)).exact
    assert len(set(seen)) == len(built.program.tensors)


def test_bits_beyond_the_last_channel_are_found(built: Built, session: Session) -> None:
    """r2b.h wants them 0: a kernel may count on it. Unpacking them does not show them."""

    class Dirty(Wrapped):
        def read(self, tensor: int) -> bytes:
            data = bytearray(super().read(tensor))
            if built.program.tensors[tensor].type.dtype == "bits":
                data[3] |= 0x80  # channel 31 of 5, of the first pixel
            return bytes(data)

    verdict = verdict_of(built, Dirty(session))
    bits = [i for i, step in enumerate(verdict.tallies) if any(t.dtype == "bits" for t in step)]
    assert inexact_steps(verdict) == bits
    assert len(bits) == 2


def test_a_whole_run_on_what_the_last_one_left(built: Built, session: Session) -> None:
    """A whole run that is not made again gives what it gave before: it finds poison."""

    class Once(Wrapped):
        runs = 0

        def run(self, first: int, last: int) -> Timing:
            if first < last:
                self.runs += 1
                if self.runs > 1:
                    return [0] * STEPS
            return super().run(first, last)

    verdict = verdict_of(built, Once(session))
    assert inexact_steps(verdict) == []
    assert verdict.faults
