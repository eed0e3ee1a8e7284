"""CIFAR-10 from one .npz file of JPEG images; README.md describes the format."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

PAD = 4
SIZE = 32


@dataclass(frozen=True)
class Images:
    """images uint8 [n, channels, size, size]; labels int64 [n]."""

    images: Tensor
    labels: Tensor


def load(path: Path, part: Literal["train", "test"]) -> Images:
    """Decodes every JPEG of one part: RGB images [n, 3, 32, 32], labels 0..9."""
    with np.load(path, allow_pickle=False) as archive:
        jpeg = archive[f"{part}_jpeg"].tobytes()
        offset = archive[f"{part}_offset"].tolist()
        labels = archive[f"{part}_label"].astype(np.int64)
    images = np.empty((len(labels), SIZE, SIZE, 3), np.uint8)
    for i in range(len(labels)):
        with Image.open(io.BytesIO(jpeg[offset[i] : offset[i + 1]])) as image:
            images[i] = np.asarray(image.convert("RGB"))
    nchw = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return Images(torch.from_numpy(nchw), torch.from_numpy(labels))


class TrainBatches:
    """Shuffled batches with random crop (zero padding) and horizontal flip; drops the last rest.

    The order and the crops of an epoch follow from (seed, epoch), so a resumed run sees the same.
    """

    def __init__(
        self, data: Images, batch: int, seed: int, pad: int = PAD, flip: bool = True
    ) -> None:
        self.channels, self.size = data.images.shape[1], data.images.shape[2]
        self.padded = F.pad(data.images, (pad, pad, pad, pad))
        self.labels = data.labels
        self.batch = batch
        self.seed = seed
        self.pad = pad
        self.flip = flip

    def __len__(self) -> int:
        return len(self.labels) // self.batch

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields float32 [batch, channels, size, size] pixels 0..255 and int64 [batch] labels."""
        g = torch.Generator().manual_seed(self.seed * 100_003 + epoch)
        order = torch.randperm(len(self.labels), generator=g)
        span = torch.arange(self.size)
        channel = torch.arange(self.channels).reshape(1, -1, 1, 1)
        for step in range(len(self)):
            index = order[step * self.batch : (step + 1) * self.batch]
            corner = torch.randint(0, 2 * self.pad + 1, (2, self.batch, 1), generator=g)
            flip = (torch.rand(self.batch, 1, generator=g) < 0.5) & self.flip
            rows = corner[0] + span
            columns = corner[1] + torch.where(flip, span.flip(0), span)
            x = self.padded[
                index.reshape(-1, 1, 1, 1),
                channel,
                rows.reshape(-1, 1, self.size, 1),
                columns.reshape(-1, 1, 1, self.size),
            ]
            yield x.float(), self.labels[index]
