"""Trains r2b_cifar10, directly or with the stages of the Real-to-Binary paper.

    python -m examples.cifar10.train --data FILE --out DIR --width 64 --epochs 34

direct:      one stage, sign activations and binary weights from the start.
progressive: float teacher -> tanh activations -> sign activations -> binary weights too. Each
             stage starts from the weights of the one before, which is also its teacher.

DIR/<stage>.pt is written after every epoch; --resume goes on from there and skips finished stages.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.nn import functional as F

from examples.cifar10.data import Images, TrainBatches, load
from examples.cifar10.losses import attention_loss, distillation_loss
from examples.nets import Activation, R2BNet, Weights, r2b_cifar10

EVAL_BATCH = 500


@dataclass(frozen=True)
class Task:
    """What is learned.

    Args:
        net: makes the network of a width.
        batches: what teaches it.
        test: what tells how well it was taught.
    """

    net: Callable[[int], R2BNet]
    batches: TrainBatches
    test: Images


@dataclass(frozen=True)
class Stage:
    """One training: what the units compute, and for how many epochs."""

    name: str
    activation: Activation
    weights: Weights
    epochs: int


def stages(args: argparse.Namespace) -> list[Stage]:
    """The stages of the chosen recipe, in order."""
    last = Stage("binary", "sign", "binary", args.epochs)
    if args.recipe == "direct":
        return [last]
    return [
        Stage("teacher", "relu", "real", args.teacher_epochs),
        Stage("tanh", "tanh", "real", args.tanh_epochs),
        Stage("sign", "sign", "real", args.sign_epochs),
        last,
    ]


def learning_rate(step: int, steps: int, peak: float, warmup: int) -> float:
    """Linear warm-up, then a cosine to 0 over the rest."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def save(path: Path, checkpoint: dict[str, Any]) -> None:
    """Writes beside the target and renames, so that a killed run leaves the older file whole."""
    partial = path.with_suffix(".partial")
    torch.save(checkpoint, partial)
    os.replace(partial, path)


class Trainer:
    """Runs stages of a task with one set of options."""

    def __init__(self, args: argparse.Namespace, progress: Progress, task: Task) -> None:
        self.args = args
        self.progress = progress
        self.device = torch.device(args.device)
        self.task = task

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=not self.args.fp32)

    def to_device(self, x: Tensor) -> Tensor:
        return x.to(self.device, memory_format=torch.channels_last)

    def loss(self, net: R2BNet, teacher: R2BNet | None, x: Tensor, labels: Tensor) -> Tensor:
        logits, maps = net.forward_with_maps(x)
        loss = F.cross_entropy(logits.float(), labels)
        if teacher is not None:
            with torch.no_grad():
                teacher_logits, teacher_maps = teacher.forward_with_maps(x)
            loss = loss + self.args.attention * attention_loss(maps, teacher_maps)
            if self.args.kd:
                kd = distillation_loss(logits, teacher_logits, self.args.temperature)
                loss = loss + self.args.kd * kd
        return loss

    def accuracy(self, net: R2BNet) -> float:
        """Top-1 on the test images, with the number format of the training. Not compiled."""
        net.eval()
        hits = 0
        with torch.no_grad(), self.autocast():
            for x, y in zip(
                self.task.test.images.split(EVAL_BATCH),
                self.task.test.labels.split(EVAL_BATCH),
                strict=True,
            ):
                logits = net(self.to_device(x.float()))
                hits += int((logits.argmax(1) == y.to(self.device)).sum())
        return hits / len(self.task.test.labels)

    def run(self, stage: Stage, previous: R2BNet | None) -> R2BNet:
        """Trains one stage, or finishes it if --resume finds it begun, and returns its net."""
        args = self.args
        torch.manual_seed(args.seed)
        net = self.task.net(args.width)
        net.set_stage(stage.activation, "real" if previous else stage.weights)
        if previous is not None:
            net.load_state_dict(previous.state_dict())
            net.set_stage(stage.activation, stage.weights)  # restarts alpha from these weights
        net.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.Adam(net.parameters(), lr=args.lr, fused=True)
        path: Path = args.out / f"{stage.name}.pt"
        history: list[dict[str, float]] = []
        if args.resume and path.exists():
            saved = torch.load(path, map_location=self.device, weights_only=True)
            if (saved["width"], saved["epochs"]) != (args.width, stage.epochs):
                raise SystemExit(f"{path}: trained with other --width or epochs; not resumed")
            net.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
            history = saved["history"]
        if len(history) < stage.epochs:
            self.epochs(stage, net, previous, optimizer, path, history)
        return net.eval()

    def epochs(
        self,
        stage: Stage,
        net: R2BNet,
        previous: R2BNet | None,
        optimizer: torch.optim.Optimizer,
        path: Path,
        history: list[dict[str, float]],
    ) -> None:
        args = self.args
        torch.compiler.reset()

        def loss_of(x: Tensor, labels: Tensor) -> Tensor:
            return self.loss(net, previous, x, labels)

        if not args.no_compile:
            loss_of = torch.compile(loss_of)
        steps = stage.epochs * len(self.task.batches)
        bar = self.progress.add_task(stage.name, total=steps, start=True)
        for epoch in range(len(history), stage.epochs):
            began = time.monotonic()
            total = torch.zeros((), device=self.device)
            net.train()
            for i, (x, y) in enumerate(self.task.batches.epoch(epoch)):
                step = epoch * len(self.task.batches) + i
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(step, steps, args.lr, args.warmup)
                optimizer.zero_grad(set_to_none=True)
                with self.autocast():
                    loss = loss_of(self.to_device(x), y.to(self.device))
                loss.backward()
                optimizer.step()
                total += loss.detach()
                self.progress.update(bar, completed=step + 1)
            record = {
                "loss": float(total) / len(self.task.batches),
                "seconds": time.monotonic() - began,
            }
            if (epoch + 1) % args.test_every == 0 or epoch + 1 == stage.epochs:
                record["test"] = self.accuracy(net)
            history.append(record)
            save(
                path,
                {
                    "stage": stage.name,
                    "activation": stage.activation,
                    "weights": stage.weights,
                    "width": args.width,
                    "epochs": stage.epochs,
                    "model": net.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "history": history,
                },
            )
            self.progress.console.print(
                f"{stage.name} {epoch + 1}/{stage.epochs}: loss {record['loss']:.3f}, "
                f"{record['seconds']:.0f} s"
                + (f", test {record['test']:.2%}" if "test" in record else "")
            )
        self.progress.remove_task(bar)


def options(description: str | None) -> argparse.ArgumentParser:
    """The options of a training, whatever the task."""
    parser = argparse.ArgumentParser(
        description=description.split("\n")[0] if description else None
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder of the checkpoints")
    add("--recipe", choices=("direct", "progressive"), default="direct")
    add("--width", type=int, default=64)
    add("--epochs", type=int, default=34, help="epochs of the last, fully binary stage")
    add("--teacher-epochs", type=int, default=8)
    add("--tanh-epochs", type=int, default=4)
    add("--sign-epochs", type=int, default=6)
    add("--batch", type=int, default=128)
    add("--lr", type=float, default=3e-3)
    add("--warmup", type=int, default=100, help="steps")
    add("--attention", type=float, default=0.5, help="weight of the attention loss")
    add("--kd", type=float, default=0.5, help="weight of the distillation loss")
    add("--temperature", type=float, default=3.0)
    add("--test-every", type=int, default=5, help="epochs between tests; the last is tested too")
    add("--seed", type=int, default=0)
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add("--threads", type=int, help="CPU threads")
    add("--resume", action="store_true", help="go on from the checkpoints in --out")
    add("--no-compile", action="store_true", help="without torch.compile")
    add("--fp32", action="store_true", help="without bfloat16 autocast")
    return parser


def train(args: argparse.Namespace, task: Task) -> None:
    """Trains every stage of the recipe."""
    if args.threads:
        torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        trainer = Trainer(args, progress, task)
        net: R2BNet | None = None
        for stage in stages(args):
            net = trainer.run(stage, net)


def main() -> None:
    """The command line."""
    parser = options(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="CIFAR-10 as .npz, see README.md")
    args = parser.parse_args()
    batches = TrainBatches(load(args.data, "train"), args.batch, args.seed)
    train(args, Task(r2b_cifar10, batches, load(args.data, "test")))


if __name__ == "__main__":
    main()
