"""The shipped networks on every Cortex-M target: python -m benchmarks.targets [--net digits] [--target microbit].

Each is exported (from PyTorch once, from its model.onnx then) and checked, as `r2b-edge export` and `r2b-edge check` do
it, with the first of the images that are shipped beside it; one Markdown table a network is printed. docs/cortex-m.md
says what the columns mean; `--doc docs/cortex-m.md` puts the tables there as well. A network that does not fit is
listed with the sums of its refusal. Exit 1 where a step is not exact, the top-1 of an image is not PyTorch's, or a
target did not run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import r2b_edge
from r2b_edge import targets
from r2b_edge.checking.reference import Reference
from r2b_edge.checking.samples import split_samples
from r2b_edge.errors import DeviceError, MismatchError
from r2b_edge.exporters.c.kernels import REGISTRY
from r2b_edge.pipeline import Storage, graph_of
from r2b_edge.report import ExecutorCheck, Report

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NETS = {
    "r2b_cifar10": EXAMPLES / "cifar10" / "r2b_cifar10.pt2",
    "r2b_cifar10_small": EXAMPLES / "cifar10" / "r2b_cifar10_small.pt2",
    "r2b_digits": EXAMPLES / "digits" / "r2b_digits.pt2",
}
TARGETS = [name for name in targets.names() if targets.load(name).os == "none"]
SAMPLES = 2
MARKS = ("<!-- tables: python -m benchmarks.targets -->\n", "<!-- end of tables -->\n")
COLUMNS = (
    *("target", "core", "kernels", "flash", "RAM", "arena", "bound", "stack", "instructions", "steps exact"),
    *("top-1", "emulated on"),
)  # fmt: skip

Images = NDArray[np.uint8]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Samples:
    """The first images of a network, uint8 [n, C, H, W], their classes, and PyTorch's top-1, int64 [n] each."""

    images: Images
    labels: NDArray[np.int64]
    torch: NDArray[np.int64]


def samples_of(model: Path, count: int) -> Samples:
    """Those that are shipped beside a model."""
    import torch

    images = np.load(model.with_name("samples.npy"))[:count]
    labels = np.load(model.with_name("labels.npy"))[:count]
    net = torch.export.load(model).module()
    with torch.no_grad():
        tops = [int(net(torch.from_numpy(image[None]).float()).argmax()) for image in images]
    return Samples(images, labels, np.array(tops))


def as_in_torch(onnx: Path, samples: Samples) -> int:
    """On how many images the check's reference, onnxruntime, has PyTorch's top-1."""
    graph = graph_of(onnx, "net")
    reference = Reference(onnx, graph)
    tops = [
        reference.top1(reference.outputs(reference.run(values)))
        for values in split_samples(samples.images, graph)
    ]
    return int((np.array(tops) == samples.torch).sum())


def families(report: Report, target: targets.Target) -> list[str]:
    """Kernel families of the steps that compute binary layers, the target's most wanted first."""
    family = {kernel.name: kernel.family for kernel in REGISTRY}
    binary = {layer.name for layer in report.layers if layer.binary}
    used = {
        family[kernel]
        for step in report.steps
        if step.layer in binary
        for kernel in step.kernel.split(" + ")
        if kernel.startswith("b")
    }
    return [name for name in target.families if name in used]


def emulated_on(target: targets.Target) -> str:
    """The board that QEMU plays, and whether it is the target's own."""
    assert target.emulator is not None
    argv = target.emulator.argv
    board, core = (argv[argv.index(option) + 1] for option in ("-M", "-cpu"))
    if not target.emulator.other_board:
        return f"{board}: its own"
    return f"{board}: {'another core, ' + core if target.emulator.stand_in else 'the same core'}"


def row(report: Report, target: targets.Target) -> list[str]:
    """The cells of a network on a target; "?" for what could not be measured."""
    assert report.check is not None
    memory, c = report.memory, report.check.executors.c

    def figure(value: int | None) -> str:
        return "?" if value is None else f"{value:,}"

    exact = top1 = "?"
    if isinstance(c, ExecutorCheck):
        exact, top1 = f"{c.steps_exact}/{c.steps}", f"{c.top1_agreement}/{c.samples}"
    return [
        f"`{target.name}`",
        target.core.removeprefix("cortex-").upper().replace("PLUS", "+"),
        ", ".join(families(report, target)),
        *map(figure, (memory.flash_bytes, memory.ram_bytes, memory.arena_bytes)),
        *map(figure, (memory.arena_bound_bytes, memory.stack_bytes)),
        figure(report.instructions.total if report.instructions else None),
        exact,
        top1,
        emulated_on(target),
    ]


def fault(report: Report) -> str:
    """Empty if all steps are exact and every top-1 agrees, on all executors that ran; C has to have run."""
    if said := r2b_edge.fault_of(report):
        return said
    assert report.check is not None
    for name, executor in report.check.executors.items():
        if not isinstance(executor, ExecutorCheck):
            if name == "c":
                return f"c: {executor.skipped}"
        elif executor.top1_agreement != executor.samples:
            return f"{name}: top-1 of {executor.top1_agreement} of {executor.samples} images is the reference's"
    return ""


def measure(
    name: str, chosen: Sequence[str], samples: Samples, storage: Storage, folder: Path, say: Say
) -> Iterator[str]:
    """Say a network's table, line by line; yields a line for each fault."""
    say(f"### {name}\n\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    refusals: list[str] = []
    compared = None
    for target_name in chosen:

        def tell(stage: str, where: str = f"{name}, {target_name}") -> None:
            print(f"{where}: {stage}", file=sys.stderr, flush=True)

        target, out = targets.load(target_name), folder / f"{name}-{target_name}"
        options = r2b_edge.ExportOptions(name=name.removeprefix("r2b_"), storage=storage)
        try:
            source = NETS[name] if compared is None else compared
            r2b_edge.export(source, target=target_name, out=out, options=options, progress=tell)
            tell(f"checking {len(samples.images)} images")
            report = r2b_edge.check(out, samples=samples.images, labels=samples.labels)
        except MismatchError as error:
            refusals.append(f"- `{target_name}`: {error.message}")
            continue
        except DeviceError as error:
            yield f"{name}, {target_name}: {error}"
            continue
        say(f"| {' | '.join(row(report, target))} |")
        if said := fault(report):
            yield f"{name}, {target_name}: {said}"
        compared = out / "model.onnx" if compared is None else compared
    for line in ("", *refusals):
        say(line)
    if compared is not None:
        same, count = as_in_torch(compared, samples), len(samples.images)
        before = "\n" if refusals else ""
        say(f"{before}The reference's top-1 is PyTorch's on {same} of {count} images.\n")
        if same != count:
            yield f"{name}: onnxruntime's top-1 is PyTorch's on {same} of {count} images"


def put(doc: Path, tables: str) -> None:
    """Replace what stands between a document's MARKS.

    Raises:
        ValueError: it has not both of them, in this order.
    """
    text = doc.read_text("utf-8")
    begin = text.index(MARKS[0]) + len(MARKS[0])
    end = text.index(MARKS[1], begin)
    doc.write_text(f"{text[:begin]}\n{tables}{text[end:]}", "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; 1 where something is not exact, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--net", action="append", choices=NETS, help="all by default")
    parser.add_argument("--target", action="append", choices=TARGETS, help="all by default")
    parser.add_argument("--samples", type=int, default=SAMPLES, metavar="N", help="images of each")
    parser.add_argument("--float-storage", choices=("fp32", "fp16"), default="fp32")
    parser.add_argument("--input-dtype", choices=("float32", "uint8"), default="float32")
    parser.add_argument("--doc", type=Path, metavar="FILE", help="put the tables there, too")
    asked = parser.parse_args(arguments)
    if asked.samples < 1:
        parser.error("--samples is at least 1")
    storage = Storage(asked.float_storage, asked.input_dtype)
    faults: list[str] = []
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(f"{line}\n")

    for name in asked.net or NETS:
        with tempfile.TemporaryDirectory(prefix="r2b-targets-") as folder:
            samples = samples_of(NETS[name], asked.samples)
            chosen = asked.target or TARGETS
            faults += measure(name, chosen, samples, storage, Path(folder), say)
    if asked.doc and not faults:
        put(asked.doc, "".join(lines))
    for line in faults:
        print(f"fault: {line}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
