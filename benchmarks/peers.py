"""Real-to-Binary ResNet-18 at 224x224 beside its peers, as Markdown: python -m benchmarks.peers [OUT] [--target rpi4].

In one run under the same QEMU, by the same way of counting: our C program (OUT, a checked export of the network, or a
fresh one), and the float network in LiteRT with XNNPACK (its aarch64 wheel in Debian's arm64 Python; the first run
downloads 25 MB into build/peers). LiteRT's output is compared with onnxruntime's before it is believed. What was not
measured here is quoted as such. Emulated instructions are no times.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks import litert, network, resnet18
from r2b_edge import targets
from r2b_edge.errors import InputError, MismatchError
from r2b_edge.graph.graph import Array

FOLDER = Path("build/peers")
CLOSE = 1e-3
"""By how much LiteRT's output may differ from onnxruntime's, of the largest magnitude: they sum in other orders."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", nargs="?", type=Path, help="a checked export, or its report.json")
    parser.add_argument("--target", default="rpi4", help="of a fresh export")
    chosen = parser.parse_args(arguments)
    ours = network.load(chosen.out, chosen.target)
    target = targets.load(ours.target)
    if target.arch != "aarch64" or target.emulator is None:
        raise InputError(f"LiteRT has no wheel that runs under the emulator of {target.name}")
    print(
        f"{ours.model.file} on {target.name}, emulated instructions of one inference, one thread\n"
    )
    print(network.markdown(ours))
    twin = resnet18.FloatTwin.make()
    counted = litert.count(twin.tflite, resnet18.SAMPLE.transpose(0, 2, 3, 1), target, FOLDER)
    _compare(twin.onnx, counted.output)
    assert ours.instructions is not None
    binary, floats = ours.instructions.total, max(counted.instructions)
    print(
        "\n| network and runtime | M instructions | of float | how it is known |\n|---|---|---|---|"
    )
    print(
        f"| float ResNet-18 with gates, LiteRT {version('ai-edge-litert')} with XNNPACK | {floats / 1e6:.1f} | 1 | "
        f"this run: {' '.join(target.emulator.argv)} |"
    )
    print(
        f"| Real-to-Binary ResNet-18, r2b-edge | {binary / 1e6:.2f} | 1/{floats / binary:.2f} | this run |"
    )


def _compare(onnx: bytes, output: Array) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {session.get_inputs()[0].name: resnet18.SAMPLE})
    error = float(np.abs(expected - output).max() / np.abs(expected).max())
    if not error <= CLOSE:
        raise MismatchError(
            f"LiteRT's output differs from onnxruntime's by {error:.1e} of its largest"
        )


if __name__ == "__main__":
    main()
