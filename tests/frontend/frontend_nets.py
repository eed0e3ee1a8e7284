"""Small networks for the front end's tests; also read by tests as FILE of --model FILE:CALLABLE."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Unit(nn.Module):
    """BN, sign with 0 as +1, binary 3x3 conv, gate, PReLU, skip: a Real-to-Binary unit."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.weight = nn.Parameter(torch.randn(channels, channels, 3, 3))
        self.fc = nn.Linear(channels, channels)
        self.prelu = nn.PReLU(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn(x)
        gate = torch.sigmoid(self.fc(y.mean((2, 3))))[:, :, None, None]
        bits = torch.where(y >= 0, 1.0, -1.0)
        alpha = self.weight.abs().mean((1, 2, 3), keepdim=True)
        out = F.conv2d(bits, torch.where(self.weight >= 0, alpha, -alpha), padding=1)
        return self.prelu(out * gate) + x


class Tiny(nn.Module):
    """Stem, two units, dropout, classifier: 1x3x8x8 to 1x5."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.units = nn.Sequential(Unit(8), Unit(8))
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(8 * 16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.avg_pool2d(self.units(self.stem(x)), 2)
        return self.fc(self.dropout(x.reshape(x.shape[0], -1)))


def tiny() -> Tiny:
    """A Tiny with statistics that are not trivial, in training mode."""
    torch.manual_seed(0)
    net = Tiny()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, -1, 1)
            nn.init.normal_(part.bias)
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2)
    return net
