"""The 8x8 digits that scikit-learn carries (UCI, Optical Recognition of Handwritten Digits, its test part)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from sklearn.datasets import load_digits

from examples.cifar10.data import Images

LEVELS = 16
"""Pixels are counts 0..16 of inked dots in 4x4 blocks."""
TRAIN = 1347
"""The first images teach, the last 450 test, in the order of the file: images side by side may be of one writer, so
that a random split would be an easier test."""


def load(part: Literal["train", "test"]) -> Images:
    """One part: images [n, 1, 8, 8] of pixels 0..255, labels 0..9."""
    digits = load_digits()
    chosen = slice(TRAIN) if part == "train" else slice(TRAIN, None)
    images = np.rint(digits.images[chosen, None] * 255 / LEVELS).astype(np.uint8)
    labels = digits.target[chosen].astype(np.int64)
    return Images(torch.from_numpy(images), torch.from_numpy(labels))
