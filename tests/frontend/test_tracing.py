"""Straight-through estimators as people write them: all are traced, and compute what PyTorch computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.autograd import Function
from torch.nn import functional as F

from r2b_edge.errors import InputError, UnsupportedError
from r2b_edge.frontend import module_to_onnx, reference, save
from r2b_edge.frontend.agreement import require_agreement
from r2b_edge.frontend.contain import ExporterFailedError
from r2b_edge.frontend.networks import of_inputs
from r2b_edge.frontend.torch_export import module_to_onnx as script_to_onnx
from r2b_edge.frontend.torch_export import module_to_program
from r2b_edge.frontend.tracing import traceable

pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


class Plain(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad


alias = Plain.apply  # bound before anything of ours is imported by a user


class WithContext(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, threshold: float = 0.25) -> torch.Tensor:
        ctx.threshold = threshold
        ctx.mark_non_differentiable()
        ctx.set_materialize_grads(False)
        assert not ctx.needs_input_grad[0]
        return torch.where(x >= threshold, 1.0, -1.0)


class WithSetup(Function):
    @staticmethod
    def forward(x: torch.Tensor) -> torch.Tensor:
        return x.sign()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)


class InPlace(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.mark_dirty(x)
        return x.clamp_(-1, 1)


class OfData(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.tensor(2.0) * x.data.sign()


class Legacy(Function):
    """As XNOR-Net's reference code has it: an instance is called, which PyTorch itself refuses today."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.save_for_backward(x)
        return x.sign(), x.abs().mean(1, keepdim=True)

    def backward(self, grad: torch.Tensor, grad_mean: torch.Tensor) -> torch.Tensor:
        return grad


class LegacyApplied(Function):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sign()


def react_net(x: torch.Tensor) -> torch.Tensor:
    """ReActNet's BinaryActivation: the sign, with the gradient of a polynomial."""
    hard = torch.sign(x)
    low, middle, high = x < -1, x < 0, x < 1
    soft = (-1) * low + (x * x + 2 * x) * (1 - low.float())
    soft = soft * middle + (-x * x + 2 * x) * (1 - middle.float())
    soft = soft * high + 1 * (1 - high.float())
    return hard.detach() - soft.detach() + soft


STES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "plain": lambda x: Plain.apply(x),
    "alias": alias,
    "context": lambda x: WithContext.apply(x, 0.1),
    "default": lambda x: WithContext.apply(x),
    "setup": WithSetup.apply,
    "in place": lambda x: InPlace.apply(x.clone()).sign(),
    "of data": OfData.apply,
    "legacy applied": LegacyApplied.apply,
    "polynomial": react_net,
}


class Net(nn.Module):
    def __init__(self, binarize: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.binarize = binarize
        self.conv = nn.Conv2d(3, 4, 3)
        self.weight = nn.Parameter(torch.randn(4, 4, 3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(self.binarize(self.conv(x)), self.weight.sign())


def net(binarize: Callable[[torch.Tensor], torch.Tensor]) -> Net:
    torch.manual_seed(0)
    return Net(binarize).eval()


def answer(model: onnx.ModelProto, x: torch.Tensor) -> Any:
    return reference.run(model, {model.graph.input[0].name: x.numpy()})[0]


def assert_traced(module: nn.Module, expected: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """By both exporters, on inputs that they have not seen."""
    example, x = torch.randn(2, 1, 3, 8, 8)
    with traceable():
        program = module_to_program(module, (example,))
        script = script_to_onnx(module, (example,))
    with torch.no_grad():
        want = expected(x.clone())
        torch.testing.assert_close(program.module()(x.clone()), want)
    np.testing.assert_allclose(answer(script, x), want.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", STES)
def test_estimators(name: str) -> None:
    module = net(STES[name])
    assert_traced(module, module)


def test_legacy_function() -> None:
    """PyTorch does not run it, so a new one is the reference."""
    legacy, modern = net(lambda x: Legacy()(x)[0]), net(torch.sign)
    with pytest.raises(RuntimeError, match="non-static forward"):
        legacy(torch.zeros(1, 3, 8, 8))
    assert_traced(legacy, modern)


def test_everything_is_as_before() -> None:
    module = net(lambda x: Legacy()(x)[0])
    data = torch.Tensor.data
    with traceable():
        assert torch.Tensor.data is not data
    assert torch.Tensor.data is data
    with pytest.raises(RuntimeError, match="non-static forward"):
        module(torch.zeros(1, 3, 8, 8))
    x = torch.ones(2, requires_grad=True)
    Plain.apply(x).sum().backward()
    assert x.grad is not None


class BnnConv(nn.Conv2d):
    """The layers of BNN (Courbariaux 2016) in its PyTorch reference code assign to `.data`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.size(1) != 3:
            x.data = x.data.sign()
        if not hasattr(self.weight, "org"):
            self.weight.org = self.weight.data.clone()  # type: ignore[attr-defined]
        self.weight.data = self.weight.org.sign()  # type: ignore[attr-defined]
        y = F.conv2d(x, self.weight, None, self.stride, self.padding)
        assert self.bias is not None
        y += self.bias.view(1, -1, 1, 1).expand_as(y)
        return y


def bnn() -> nn.Module:
    torch.manual_seed(0)
    layers = (BnnConv(3, 4, 3), nn.BatchNorm2d(4), nn.Hardtanh(inplace=True), BnnConv(4, 4, 3))
    return nn.Sequential(*layers).eval()


def test_assignments_to_data() -> None:
    module = bnn()
    assert_traced(module, module)


def test_assignments_to_data_are_lost_without() -> None:
    """What all this is for: the older exporter leaves a sign out, and says nothing."""
    module, x = bnn(), torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        want = module(x.clone())
        script = script_to_onnx(module, (x.clone(),))
    assert np.abs(answer(script, x) - want.numpy()).max() > 1
    with pytest.raises(ExporterFailedError, match="cannot trace"):
        module_to_program(module, (x,))


def test_of_a_module_in_memory(tmp_path: Path) -> None:
    module, x = bnn(), torch.randn(1, 3, 8, 8)
    loaded = module_to_onnx(module, torch.zeros(1, 3, 8, 8), tmp_path / "m.onnx")
    assert loaded.notes == []
    with torch.no_grad():
        want = module(x.clone())
    ours = answer(onnx.load(tmp_path / "m.onnx"), x)
    np.testing.assert_allclose(ours, want.numpy(), rtol=1e-4, atol=1e-5)


class Branch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


class Number(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * float(x.numpy().mean())


class Numpy(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.negative(x.numpy()))


@pytest.mark.parametrize("module", [Branch(), Number(), Numpy()])
def test_what_a_trace_would_get_wrong_is_refused(module: nn.Module, tmp_path: Path) -> None:
    """torch.export says no; a trace says yes, and is wrong for other inputs."""
    with pytest.raises(
        UnsupportedError,
        match=r"by torch\.export: .*; by TorchScript: the exported network gives other answers",
    ):
        module_to_onnx(module, torch.rand(1, 3), tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError, match="cannot trace the network"):
        save(module, torch.rand(1, 3), tmp_path / "m.pt2")
    assert list(tmp_path.iterdir()) == []


class SmallBranch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else x * 1.25


def test_a_small_difference_is_told() -> None:
    """Of the worst input for a trace, which has to be right on all of them."""
    network = of_inputs(SmallBranch(), (torch.ones(1, 3),))
    for always, told in ((True, ["by 2.5e-01 of the largest output"]), (False, [])):
        notes: list[str] = []
        require_agreement(network, network.script(), notes, always=always)
        assert len(notes) == len(told)
        assert all(text in note for text, note in zip(told, notes, strict=True))


class NumberOfWeights(nn.Module):
    """As in ReCU: a number that depends on a parameter only, so that a trace of it is right."""

    def __init__(self) -> None:
        super().__init__()
        self.tau = nn.Parameter(torch.tensor(0.3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.log(2 - 2 * self.tau).detach().cpu().item()


def test_a_number_out_of_the_weights(tmp_path: Path) -> None:
    module, x = NumberOfWeights(), torch.rand(1, 3)
    with pytest.raises(UnsupportedError, match=r"a number out of a tensor.*torch\.jit\.trace"):
        save(module, x, tmp_path / "m.pt2")
    loaded = module_to_onnx(module, x, tmp_path / "m.onnx")
    assert "exported by TorchScript, since torch.export failed" in loaded.notes[0]
    ours = answer(onnx.load(tmp_path / "m.onnx"), x)
    np.testing.assert_allclose(ours, module(x).detach().numpy(), rtol=1e-5)


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """torch.export prints the graph of what it cannot trace."""
    with pytest.raises(UnsupportedError):
        save(Branch(), torch.rand(1, 3), tmp_path / "m.pt2")
    save(net(torch.sign), torch.rand(1, 3, 8, 8), tmp_path / "m.pt2")
    assert capfd.readouterr() == ("", "")


class Random(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, training=True) + torch.rand(x.shape)


def test_a_network_that_answers_at_random(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="gives other answers than PyTorch"):
        save(Random(), torch.rand(1, 30), tmp_path / "m.pt2")


def test_older_exporter_where_the_newer_fails(tmp_path: Path, monkeypatch: Any) -> None:
    """In the fork too, since it inherits the fault."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(torch.export, "export", fail)
    module, x = net(torch.sign), torch.randn(1, 3, 8, 8)
    loaded = module_to_onnx(module, x, tmp_path / "m.onnx")
    assert loaded.form == "nn.Module"
    assert loaded.notes == [
        "exported by TorchScript, since torch.export failed: torch.export cannot trace the network: "
        "RuntimeError: out of order"
    ]
    ours = answer(onnx.load(tmp_path / "m.onnx"), x)
    with torch.no_grad():
        np.testing.assert_allclose(ours, module(x).numpy(), rtol=1e-4, atol=1e-5)


def test_wrong_example_inputs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not take the example inputs: .*4 channels"):
        module_to_onnx(net(torch.sign), torch.rand(1, 4, 8, 8), tmp_path / "m.onnx")
