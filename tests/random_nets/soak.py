"""Compares random networks for as long as wanted: python -m tests.random_nets.soak --minutes 10 [--jobs 2] [--seed N].

A network that fails is shrunk, kept in cases/ and from then on compared by the tests. Ctrl-C and SIGTERM end it at any
time; what was found until then is kept.
"""

from __future__ import annotations

import argparse
import multiprocessing
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

from .compare import Bench, Outcome, ties_allowed
from .draw import draw
from .kept import save
from .shrink import BATCH, shrink

DRAWN_AT_ONCE = 8 * BATCH


@dataclass
class Tallies:
    """What was seen so far."""

    nets: int = 0
    compared: int = 0
    tensors: int = 0
    bits: int = 0
    ties: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            self.nets += 1
            self.compared += not outcome.refused
            self.tensors += outcome.tensors
            self.bits += outcome.bits
            self.ties += outcome.ties
            if outcome.refused:
                self.refused[outcome.refused] += 1

    def line(self, seconds: float) -> str:
        refused = ", ".join(f"{n} {what}" for what, n in self.refused.most_common())
        return (
            f"{self.compared:,} networks compared ({self.nets / seconds:.1f}/s), {len(self.faults)} failed; "
            f"{self.tensors:,} tensors, {self.bits:,} bits, {self.ties} margin ties; "
            f"refused: {refused or 'none'}"
        )


def work(seed: int, until: float, results: Any) -> None:
    """Draw, compare, shrink and keep until the time is up; put (outcomes, lines about faults) into a queue."""
    seen: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="r2b-soak-") as folder:
        bench = Bench(Path(folder))
        while time.monotonic() < until:
            specs = draw(DRAWN_AT_ONCE, seed)
            seed += 1
            for start in range(0, len(specs), BATCH):
                outcomes = bench.compare(specs[start : start + BATCH])
                lines = []
                for outcome in outcomes:
                    kind = outcome.kind_of_fault
                    if kind in seen:
                        lines.append(f"again: {kind}")
                    elif kind:
                        seen.add(kind)
                        lines.append(keep(bench, outcome))
                results.put((outcomes, lines))
                if time.monotonic() >= until:
                    return


def keep(bench: Bench, outcome: Outcome) -> str:
    """Save the failing network as a case, then the smaller one that is found in its place."""
    whole = save(outcome.spec)
    kind = outcome.kind_of_fault
    small = shrink(
        outcome.spec, lambda specs: [o.kind_of_fault == kind for o in bench.compare(specs)]
    )
    path = save(small)
    if path != whole:
        whole.unlink()
    return f"{path.name}: {outcome.faults[0]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, help="of the first batch; default: at random")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else secrets.randbelow(2**31)
    print(f"seed {seed}", flush=True)

    # SIGTERM would leave the workers behind, and their tallies untold.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    start = time.monotonic()
    until = start + 60 * options.minutes
    tallies = Tallies()
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [
        context.Process(target=work, args=(seed + k * 1_000_003, until, results), daemon=True)
        for k in range(options.jobs)
    ]
    try:
        for worker in workers:
            worker.start()
        listen(workers, results, tallies, start)
    except KeyboardInterrupt:
        print(file=sys.stderr)
    finally:
        for worker in workers:
            worker.terminate()
    print(tallies.line(time.monotonic() - start))
    for fault in tallies.faults:
        print(f"  {fault}")
    died = any(worker.exitcode not in (0, None, -15) for worker in workers)
    return 1 if tallies.faults or died or tallies.ties > ties_allowed(tallies.bits) else 0


def listen(workers: list[Any], results: Any, tallies: Tallies, start: float) -> None:
    """Add up what the workers put, and show it, until all have ended."""
    while any(worker.is_alive() for worker in workers) or not results.empty():
        try:
            outcomes, faults = results.get(timeout=1.0)
        except Empty:
            continue
        tallies.add(outcomes)
        tallies.faults += faults
        for fault in faults:
            print(f"failed: {fault}", flush=True)
        print(tallies.line(time.monotonic() - start), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
