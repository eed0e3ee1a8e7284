"""Top-1 in float32 of a .pt2 or of a checkpoint of train.py.

    python -m examples.cifar10.evaluate examples/cifar10/r2b_cifar10.pt2 --data FILE
    python -m examples.cifar10.evaluate examples/cifar10/r2b_cifar10.pt2 --samples examples/cifar10

A .pt2 is loaded without running pickled code.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

# torch.export.load would otherwise run a pickle hidden in a hostile archive.
os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"

import numpy as np
import torch
from torch import Tensor

from examples.cifar10.data import Images, load
from examples.cifar10.export import load_checkpoint


def load_model(path: Path) -> tuple[Callable[[Tensor], Tensor], int]:
    """The model and its batch size: 1 for a .pt2, which is exported with that shape."""
    if path.suffix == ".pt2":
        torch.set_num_threads(1)  # with one small image at a time more threads only wait
        return torch.export.load(path).module(), 1
    return load_checkpoint(path), 250


@torch.no_grad()
def top1(model: Callable[[Tensor], Tensor], data: Images, batch: int) -> tuple[int, int]:
    """Right answers, and images asked."""
    hits = 0
    for x, y in zip(data.images.split(batch), data.labels.split(batch), strict=True):
        hits += int((model(x.float()).argmax(1) == y).sum())
    return hits, len(data.labels)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("model", type=Path, help=".pt2, or a checkpoint of train.py")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="CIFAR-10 as .npz: its whole test part")
    source.add_argument("--samples", type=Path, help="folder of samples.npy and labels.npy")
    args = parser.parse_args()
    if args.data:
        data = load(args.data, "test")
    else:
        folder: Path = args.samples
        data = Images(
            torch.from_numpy(np.load(folder / "samples.npy")),
            torch.from_numpy(np.load(folder / "labels.npy")),
        )
    model, batch = load_model(args.model)
    hits, total = top1(model, data, batch)
    print(f"{args.model.name}: top-1 {hits}/{total} = {hits / total:.2%}")


if __name__ == "__main__":
    main()
