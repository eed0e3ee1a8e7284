"""What the networks of the table share: signs as people write them, binary layers, statistics as after training."""

# mypy: disable-error-code="no-any-return"
# To mypy, a call of an nn.Module gives Any.

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Sign = Callable[[Tensor], Tensor]
M = TypeVar("M", bound=nn.Module)


def where_sign(x: Tensor) -> Tensor:
    """+1 where x >= 0, else -1."""
    return torch.where(x >= 0, 1.0, -1.0)


def clip_sign(x: Tensor) -> Tensor:
    """Hubara et al. 2016: the sign, with the gradient of a clip. sign(0) = 0."""
    soft = x.clamp(-1, 1)
    return torch.sign(x).detach() - soft.detach() + soft


def polynomial_sign(x: Tensor) -> Tensor:
    """Bi-Real net: the sign, with the gradient of a polynomial in pieces (ApproxSign)."""
    hard = torch.sign(x)
    below, left, right = (
        (x < -1).type(torch.float32),
        (x < 0).type(torch.float32),
        (x < 1).type(torch.float32),
    )
    first = -1 * below + (x * x + 2 * x) * (1 - below)
    second = first * left + (-x * x + 2 * x) * (1 - left)
    soft = second * right + 1 * (1 - right)
    return hard.detach() - soft.detach() + soft


def cast_sign(x: Tensor) -> Tensor:
    """Brevitas' binary_sign: a comparison, cast and stretched to -1 and +1."""
    return (x >= 0).to(x.dtype) * 2 - 1


def where_clamp(x: Tensor, low: float, high: float) -> Tensor:
    """Brevitas' tensor_clamp: two comparisons."""
    x = torch.where(x > high, torch.tensor(high), x)
    return torch.where(x < low, torch.tensor(low), x)


class _SignFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.sign(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * (x.abs() <= 1)


def function_sign(x: Tensor) -> Tensor:
    """torch.sign as an autograd.Function with a backward of its own."""
    return _SignFunction.apply(x)  # type: ignore[no-untyped-call]


def mean_alpha(w: Tensor) -> Tensor:
    """XNOR-Net: the mean magnitude of each output channel."""
    return w.abs().mean(tuple(range(1, w.dim())), keepdim=True)


def no_alpha(w: Tensor) -> Tensor:
    """BinaryNet: weights of -1 and +1."""
    return torch.ones([])


def tensor_alpha(w: Tensor) -> Tensor:
    """One scale for all channels."""
    return w.abs().mean()


class BinaryConv2d(nn.Conv2d):
    """A convolution whose weights are binarised in forward; its input must be."""

    def __init__(
        self,
        c: int,
        d: int,
        *window: Any,
        alpha: Callable[[Tensor], Tensor] = mean_alpha,
        sign: Sign = clip_sign,
        bias: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(c, d, *window, **options | {"bias": bias})
        self.alpha, self.sign = alpha, sign

    def binary_weight(self) -> Tensor:
        """The weights that the convolution uses."""
        return self.alpha(self.weight).detach() * self.sign(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.binary_weight(), self.bias)


class BinaryConv1d(nn.Conv1d):
    """The same in one dimension, with alpha = mean magnitude."""

    def forward(self, input: Tensor) -> Tensor:
        weight = mean_alpha(self.weight) * where_sign(self.weight)
        return self._conv_forward(input, weight, self.bias)


class BinaryLinear(nn.Linear):
    """A dense layer with weights of +-1, or +-alpha of each output."""

    def __init__(
        self, inputs: int, outputs: int, bias: bool = True,
        alpha: Callable[[Tensor], Tensor] = no_alpha, sign: Sign = clip_sign,
    ) -> None:  # fmt: skip
        super().__init__(inputs, outputs, bias)
        self.alpha, self.sign = alpha, sign

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.alpha(self.weight) * self.sign(self.weight), self.bias)


class Lambda(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Shift(nn.Module):
    """A learned offset of each channel (ReActNet's LearnableBias)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias.expand_as(x)


class Gate(nn.Module):
    """Squeeze and excite: [n, c, h, w] -> [n, d, 1, 1]."""

    def __init__(self, c: int, d: int, act: nn.Module | None = None, convs: bool = False) -> None:
        super().__init__()
        hidden = max(2, c // 4)
        self.convs = convs
        self.squeeze = nn.Conv2d(c, hidden, 1) if convs else nn.Linear(c, hidden)
        self.excite = nn.Conv2d(hidden, d, 1) if convs else nn.Linear(hidden, d)
        self.act = act or nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        mean = F.adaptive_avg_pool2d(x, 1)
        y = mean if self.convs else mean.flatten(1)
        y = self.act(self.excite(F.relu(self.squeeze(y))))
        return y if self.convs else y[:, :, None, None]


@torch.no_grad()
def trained(net: M, shapes: Sequence[tuple[int, ...]], seed: int = 0) -> M:
    """Seeded weights, and statistics of BatchNorm as data leaves them; the net comes in eval mode.

    What an untrained net lacks: means and variances of real activations, shifts, an eighth of the gammas negative,
    PReLU slopes from -0.2 to 1.2, learned scales and shifts away from 1 and 0.
    """
    g = torch.Generator().manual_seed(seed)

    def uniform(like: Tensor, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(like.shape, generator=g)

    def normal(like: Tensor, deviation: float) -> Tensor:
        return deviation * torch.randn(like.shape, generator=g)

    norms = []
    for m in net.modules():
        if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d):
            norms.append(m)
            if m.affine:
                negative = torch.rand(m.weight.shape, generator=g) < 0.125
                m.weight.copy_(uniform(m.weight, 0.5, 1.5) * torch.where(negative, -1.0, 1.0))
                m.bias.copy_(normal(m.bias, 0.3))
        elif isinstance(m, nn.PReLU):
            m.weight.copy_(uniform(m.weight, -0.2, 1.2))
        elif isinstance(m, Shift):
            m.bias.copy_(normal(m.bias, 0.3))
        elif isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear):
            m.weight.copy_(normal(m.weight, m.weight[0].numel() ** -0.5))
            if m.bias is not None:
                m.bias.copy_(normal(m.bias, 0.3))
    net.eval()
    for norm in norms:
        norm.train()
        norm.momentum = None  # the plain average
        norm.reset_running_stats()
    net(*(torch.randn((32, *shape[1:]), generator=g) for shape in shapes))
    return net.eval()
