"""Writes what examples/digits ships: the .pt2 of a checkpoint, and the test images.

    python -m examples.digits.export DIR/binary.pt examples/digits

The .pt2 is float32 with batch 1, carries no path of the machine that wrote it, and is deflated: weights that are
signs in float32 take an eighth of the room. It needs scikit-learn, which brings the images.
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

import numpy as np
import torch

import r2b_edge
from examples.cifar10.export import harden, load_checkpoint
from examples.digits.data import load
from examples.nets import r2b_digits


def deflate(path: Path) -> None:
    """Compresses a .pt2, which is a zip archive, in place: the same members, the same bytes each time."""
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED, 9)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    net = load_checkpoint(args.checkpoint, r2b_digits)
    harden(net)
    model = args.folder / "r2b_digits.pt2"
    r2b_edge.save(net, torch.zeros(1, 1, 8, 8), model)
    deflate(model)
    test = load("test")
    np.save(args.folder / "samples.npy", test.images.numpy())
    np.save(args.folder / "labels.npy", test.labels.numpy())


if __name__ == "__main__":
    main()
