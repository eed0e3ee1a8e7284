"""How evenly the work of a network is spread: python -m benchmarks.threads [--target rpi4] [--threads 4].

Real-to-Binary ResNet-18 at 224x224 with random weights runs under the target's emulator, with real threads, each
counted for itself by the plug-in; a thread that waits sleeps, and counts nothing. For each step: the instructions on
one thread, those of the busiest of several, and the busiest one's share of what all of them execute. A step begins when
the one before is done, so the network takes as long as the sum of the busiest ones: its share is that of all
instructions. The figures are emulated instructions, never a time.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from r2b_edge import frontend, targets
from r2b_edge.exporters.c import Program, write
from r2b_edge.pipeline import Storage, graph_of, program_of
from r2b_edge.runners.count import Counts, ThreadCounts, count_instructions, count_threads
from r2b_edge.toolchain.build import build

SIZE = 224


def resnet18(target: targets.Target, folder: Path) -> Program:
    """The network's C program."""
    import torch

    from examples.nets import r2b_resnet18, randomize

    torch.manual_seed(0)
    net = randomize(r2b_resnet18(), seed=0)
    example = torch.randint(0, 256, (1, 3, SIZE, SIZE)).float()
    frontend.module_to_onnx(net, (example,), folder / "model.onnx", frontend.LoadOptions())
    return program_of(graph_of(folder / "model.onnx", "net", Storage()), target, "net", "0" * 64)


def measure(
    program: Program, target: targets.Target, threads: int, folder: Path
) -> tuple[Counts, ThreadCounts]:
    """Instructions on one thread and on several, of an input of zeros."""
    write(program, target, folder / "c")
    runner = build(folder / "c", target, folder / "build").runner
    alone = count_instructions(runner, target, {}, folder / "one")
    return alone, count_threads(runner, target, {}, folder / "several", threads)


def table(program: Program, alone: Counts, spread: ThreadCounts) -> None:
    """Print a line for each step, and one for all."""
    threads = len(spread.steps[0])
    print(f"{'one thread':>13} {f'busiest of {threads}':>13} {'share':>6}  step")
    for step, one, counts in zip(program.steps, alone.steps, spread.steps, strict=True):
        print(
            f"{one:13,} {max(counts):13,} {max(counts) / sum(counts):6.3f}  {step.called}: {step.title}"
        )
    one, busiest = sum(alone.steps), spread.busiest
    print(f"{one:13,} {busiest:13,} {busiest / spread.total:6.3f}  the network")
    print(f"more than on one thread: {spread.total / one - 1:.2%}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--target", default="rpi4")
    parser.add_argument("--threads", type=int, default=4)
    chosen = parser.parse_args(arguments)
    target = targets.load(chosen.target)
    print(f"emulated instructions, {target.name}, Real-to-Binary ResNet-18 at {SIZE}x{SIZE}")
    with tempfile.TemporaryDirectory(prefix="r2b-benchmark-") as name:
        program = resnet18(target, Path(name))
        table(program, *measure(program, target, chosen.threads, Path(name)))


if __name__ == "__main__":
    main()
