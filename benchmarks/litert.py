"""Float TFLite under the target's own emulator: LiteRT's aarch64 wheel with XNNPACK, counted as our programs are."""

from __future__ import annotations

import itertools
import os
import struct
import subprocess
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from benchmarks import arm_root
from r2b_edge import targets
from r2b_edge.errors import DeviceError
from r2b_edge.graph.graph import Array
from r2b_edge.runners.count import compile_plugin
from r2b_edge.toolchain import find

RUNS = 2
GETPPID = 173
"""Its number on AArch64: include/uapi/asm-generic/unistd.h of Linux."""
DELEGATE = "XNNPACK delegate"
"""What LiteRT says on stderr when XNNPACK takes the float operators."""
TIME_LIMIT_S = 1800


@dataclass(frozen=True)
class Counted:
    """Instructions of each inference, and the output of the last one."""

    instructions: tuple[int, ...]
    output: Array


def count(model: bytes, sample: Array, target: targets.Target, folder: Path) -> Counted:
    """Run a TFLite file on one thread under the emulator of an AArch64 target.

    Args:
        model: with one float input and one output.
        sample: the input, as the file takes it (NHWC).
        target: a Linux target with an emulator.
        folder: for downloads, which are kept, and scratch files.

    Raises:
        ToolMissingError: see arm_root.make; or QEMU without plug-ins.
        DeviceError: it does not run.
    """
    assert target.emulator is not None
    root = arm_root.make(folder / "aarch64").absolute()
    scratch = folder / "run"
    scratch.mkdir(parents=True, exist_ok=True)
    (scratch / "float.tflite").write_bytes(model)
    np.save(scratch / "x.npy", sample)
    qemu = find.tool(target.emulator.argv[0])
    source = resources.files("benchmarks").joinpath("syscall_plugin.c").read_bytes()
    plugin = compile_plugin(qemu, scratch, source)
    done = subprocess.run(
        [
            qemu, *target.emulator.argv[1:], "-L", root,
            "-plugin", f"./{plugin.name},number={GETPPID},out=counts.bin",
            root / "usr/bin/python3.11", "-S", Path(__file__).with_name("litert_invoke.py").absolute(),
            "float.tflite", "x.npy", "y.npy", str(RUNS),
        ],
        cwd=scratch,
        env={
            "PATH": os.defpath,
            "PYTHONHOME": str(root / "usr"),
            "PYTHONPATH": str(root / "site"),
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OPENBLAS_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        last = done.stderr.strip().rpartition("\n")[2]
        raise DeviceError(f"LiteRT under {qemu.name} ended with {done.returncode}: {last}")
    if DELEGATE not in done.stderr:
        raise DeviceError("LiteRT did not say that XNNPACK took its operators")
    data = (scratch / "counts.bin").read_bytes()
    if len(data) != 8 * (RUNS + 1):
        raise DeviceError(f"the plug-in saw {len(data) // 8} markers instead of {RUNS + 1}")
    totals = struct.unpack(f"={RUNS + 1}Q", data)
    taken = tuple(after - before for before, after in itertools.pairwise(totals))
    return Counted(taken, np.load(scratch / "y.npy"))
