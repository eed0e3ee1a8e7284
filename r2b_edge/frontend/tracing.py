"""Make the code of binary networks visible to PyTorch's tracers: what they skip is done by what they record.

Networks with a straight-through estimator reach for two means that hide the forward computation from a tracer:

1. `torch.autograd.Function`: its `apply` is opaque to some tracers, and its older form, an instance that is called,
   is no longer run by PyTorch at all. Only `forward` matters for inference, so it is called directly.
2. `x.data = sign(x.data)`, as in the reference code of BNN (Courbariaux 2016): the assignment is not recorded. The
   TorchScript exporter then leaves the sign out without a word, and torch.export fails. Recorded is instead the
   in-place copy that has the same effect.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.autograd import Function
from torch.autograd.function import FunctionCtx, _is_setup_context_defined, _SingleLevelFunction

_DATA = torch.Tensor.data


@contextlib.contextmanager
def traceable() -> Iterator[None]:
    """Within it, autograd.Function and Tensor.data behave as above, for modules made before or in it; no gradients."""
    with contextlib.ExitStack() as stack:
        # Function.apply ends in its base's, which so is also what an alias such as `sign = Sign.apply` ends in.
        stack.enter_context(_replaced(_SingleLevelFunction, "apply", classmethod(_apply)))
        stack.enter_context(_replaced(Function, "__call__", _call))
        stack.enter_context(_replaced(torch.Tensor, "data", property(_get_data, _set_data)))
        stack.enter_context(torch.no_grad())
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", message=".*should not be instantiated.*")
        yield


@contextlib.contextmanager
def _replaced(owner: type, name: str, value: object) -> Iterator[None]:
    had = owner.__dict__.get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if had is None:
            delattr(owner, name)  # it was inherited
        else:
            setattr(owner, name, had)


def _apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
    if _is_setup_context_defined(cls.setup_context):
        return cls.forward(*args, **kwargs)
    context: Any = FunctionCtx()
    context.needs_input_grad = (False,) * len(args)
    return cls.forward(context, *args, **kwargs)


def _call(function: Any, *args: Any, **kwargs: Any) -> Any:
    """`Sign()(x)`, whose forward takes the instance for its context."""
    return function.forward(*args, **kwargs)


def _get_data(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach()


def _set_data(tensor: torch.Tensor, value: torch.Tensor) -> None:
    if isinstance(tensor, nn.Parameter) or tensor.shape != value.shape:
        _DATA.__set__(tensor, value)  # type: ignore[attr-defined]  # not a function of the input, or not to be copied
    else:
        tensor.copy_(value)
