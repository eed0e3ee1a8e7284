"""Writes what examples/cifar10 ships: the .pt2 of a checkpoint, and the sample images.

    python -m examples.cifar10.export model DIR/binary.pt r2b_cifar10.pt2
    python -m examples.cifar10.export samples --data FILE examples/cifar10

The .pt2 is float32 with batch 1 and carries no path of the machine that wrote it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import r2b_edge
from examples.cifar10.data import load
from examples.nets import BinaryConv2d, R2BNet, binarize, r2b_cifar10

SAMPLES = 256


def load_checkpoint(path: Path, make: Callable[[int], R2BNet] = r2b_cifar10) -> R2BNet:
    """The net of a checkpoint of train.py, float32, in eval mode; `make` builds it from its width."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    net = make(saved["width"])
    net.set_stage(saved["activation"], saved["weights"])
    net.load_state_dict(saved["model"])
    return net.eval()


@torch.no_grad()
def harden(net: R2BNet) -> None:
    """Replaces latent weights by their signs: the same function, and a file that compresses."""
    for module in net.modules():
        if isinstance(module, BinaryConv2d) and module.weights == "binary":
            module.weight.copy_(binarize(module.weight, straight_through=False))


def save_samples(data: Path, folder: Path) -> None:
    """Writes samples.npy uint8 [256, 3, 32, 32] and labels.npy int64 [256].

    The first test images of each class, in the order of the test set: 26 each of classes 0 to 5,
    25 each of 6 to 9.
    """
    test = load(data, "test")
    labels = test.labels.numpy()
    count, rest = divmod(SAMPLES, 10)
    chosen = np.sort(
        np.concatenate([np.flatnonzero(labels == c)[: count + (c < rest)] for c in range(10)])
    )
    np.save(folder / "samples.npy", test.images.numpy()[chosen])
    np.save(folder / "labels.npy", labels[chosen])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    model = commands.add_parser("model", help="a checkpoint of train.py to .pt2")
    model.add_argument("checkpoint", type=Path)
    model.add_argument("out", type=Path)
    samples = commands.add_parser("samples", help="256 test images and their labels to .npy")
    samples.add_argument("--data", type=Path, required=True)
    samples.add_argument("folder", type=Path)
    args = parser.parse_args()
    if args.command == "model":
        net = load_checkpoint(args.checkpoint)
        harden(net)
        r2b_edge.save(net, torch.zeros(1, 3, 32, 32), args.out)
    else:
        save_samples(args.data, args.folder)


if __name__ == "__main__":
    main()
