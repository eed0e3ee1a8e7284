"""One export of a network, and the verdict of `check` on it with a bug planted."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from mutant_nets import CUT, FAMILIES, NETS, QUANTISED, STORAGE, TARGETS
from planting import Mutant, replaced

import r2b_edge
from r2b_edge import report, targets
from r2b_edge.checking.c_program import CExecutor
from r2b_edge.checking.executor import Executor, GraphExecutor
from r2b_edge.checking.lce import LceExecutor
from r2b_edge.checking.reference import Reference
from r2b_edge.checking.revise import EXECUTORS, revise
from r2b_edge.checking.run import _verify
from r2b_edge.checking.samples import random_samples
from r2b_edge.checking.verify import Verifier
from r2b_edge.exporters import c as c_exporter
from r2b_edge.exporters.c.render import render
from r2b_edge.exporters.c.split import WORTH
from r2b_edge.exporters.tflite.convert import convert
from r2b_edge.pipeline import Storage, graph_of, program_of
from r2b_edge.runners import connect
from r2b_edge.toolchain.build import build

NAME = "net"


class Bench:
    """A network exported for this machine, or one in TARGETS for an emulated one.

    Its C project is built again and again in one folder, which costs little.

    Args:
        net: a key of NETS.
        folder: to work in.
    """

    def __init__(self, net: str, folder: Path) -> None:
        self.folder = folder
        onnx = NETS[net](np.random.default_rng(0)).save(folder / "net.onnx")
        self.storage = STORAGE.get(net, Storage())
        images = None
        if net in QUANTISED:
            shown = random_samples(graph_of(onnx, NAME, self.storage))
            images = np.concatenate([sample["x"] for sample in shown])
        options = r2b_edge.ExportOptions(name=NAME, storage=self.storage, quantize_float=images)
        r2b_edge.export(onnx, target="host", out=folder / "out", options=options)
        self.report = report.read(folder / "out")
        target = targets.load(TARGETS.get(net, "host"))
        self.target = target.model_copy(update={"families": FAMILIES.get(net, target.families)})
        self.worth = 0 if net in CUT else WORTH

    def fault(self, executor: str, mutant: Mutant | None = None) -> tuple[str, tuple[str, ...]]:
        """What `check` says of an executor with its default samples, and the nodes of the first step that is wrong.

        The graph, the program and the files are made anew, so that bugs planted in the tool are in them; a mutant
        of a file in c/ is planted here.
        """
        graph = graph_of(self.folder / "out" / "model.onnx", NAME, self.storage)
        reference = Reference(self.folder / "out" / "model.onnx", graph)
        with ExitStack() as stack:
            runs: Executor
            if executor == "graph":
                runs = GraphExecutor(graph)
            elif executor == "tflite":
                runs = LceExecutor(convert(graph))
            else:
                sha256 = self.report.model.sha256
                program = program_of(graph, self.target, NAME, sha256, worth=self.worth)
                self._write(program, mutant)
                built = build(self.folder / "c", self.target, self.folder / "build")
                where = "host" if self.target.name == "host" else "emulator"
                session = connect(where, self.target).open(built.runner)
                runs = CExecutor(program, stack.enter_context(session))
            verifier = Verifier(executor, runs, graph, reference)
            _verify([verifier], reference, random_samples(graph), None, lambda *_: None)
        skipped = {name: "not asked" for name in EXECUTORS if name != executor}
        verdicts = {executor: verifier.verdict}
        found = revise(self.report, graph, verdicts, skipped, None, "not asked", "host")
        said = r2b_edge.fault_of(found)
        first = re.search(r"first step (\d+)", said)
        return said, runs.steps[int(first[1])].nodes if first else ()

    def _write(self, program: c_exporter.Program, mutant: Mutant | None) -> None:
        """c/ as the exporter writes it, with the mutant; files that stay the same are not touched."""
        planted = False
        for path, content in render(program, self.target):
            if mutant is not None and path == mutant.place:
                content = replaced(content.decode(), mutant).encode()
                planted = True
            file = self.folder / "c" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists() or file.read_bytes() != content:
                file.write_bytes(content)
        stale = mutant is not None and isinstance(mutant.place, str) and not planted
        assert not stale, f"{mutant}: c/ has no such file"
