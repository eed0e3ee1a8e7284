"""Losses of the progressive recipe (Martinez et al., ICLR 2020, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def attention(x: Tensor) -> Tensor:
    """Attention map: channel sum of squares, flattened, unit length: [n, c, h, w] -> [n, h w]."""
    return F.normalize(x.float().square().sum(1).flatten(1), dim=1)


def attention_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """Squared distance of the attention maps, mean over the images and over the pairs of maps."""
    pairs = zip(student, teacher, strict=True)
    return torch.stack(
        [(attention(s) - attention(t)).square().sum(1).mean() for s, t in pairs]
    ).mean()


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL divergence of the softened logits [n, classes], scaled by the temperature squared."""
    return (
        F.kl_div(
            F.log_softmax(student.float() / temperature, 1),
            F.log_softmax(teacher.float() / temperature, 1),
            reduction="batchmean",
            log_target=True,
        )
        * temperature**2
    )
