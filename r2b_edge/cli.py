"""The command line: each command a couple of calls. The answer goes to stdout, progress to stderr."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from r2b_edge import progress
from r2b_edge.errors import InputError, MismatchError, R2BError, ToolMissingError
from r2b_edge.options import as_json, at_least, model_options, numbers, samples_option
from r2b_edge.version import __version__
from r2b_edge.wording import printable

if TYPE_CHECKING:
    from r2b_edge.frontend import LoadOptions
    from r2b_edge.report import Report

INTERRUPTED = 130


class Commands(click.Group):
    """Ends every command with the contract's exit code, and a user's mistake in one line."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command; never returns."""
        try:
            with _sigterm_interrupts():
                super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message())
            sys.exit(InputError.exit_code)
        except click.ClickException as error:
            error.show()
            sys.exit(InputError.exit_code)
        except (click.Abort, KeyboardInterrupt):
            click.echo("r2b-edge: interrupted", err=True)
            sys.exit(INTERRUPTED)
        except Exception as error:
            code = error.exit_code if isinstance(error, R2BError) else R2BError.exit_code
            if code == R2BError.exit_code:
                import traceback

                traceback.print_exc()
                click.echo(
                    "r2b-edge: this is a bug; please report it with the lines above", err=True
                )
            else:
                click.echo(f"r2b-edge: {printable(str(error))}", err=True)
            sys.exit(code)
        sys.exit(0)


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Whoever is asked to end by `kill` cleans up as for Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can take signals
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="r2b-edge")
def main() -> None:
    """Deploy binary neural networks from PyTorch: TFLite with LCE ops, and C for Arm."""


@main.command()
@model_options
@click.option(
    "--target", "-t", required=True, help="What to export for; `r2b-edge targets` lists them."
)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    help="The folder that it becomes; default: r2b-out/NAME-TARGET.",
)
@click.option(
    "--require-binary",
    metavar="N|PATTERN",
    callback=at_least,
    help="Fail unless N layers, or all whose name matches, are binary.",
)
@click.option("--name", help="The model's name in C.")
@click.option(
    "--max-flash",
    metavar="BYTES",
    type=click.IntRange(min=1),
    help="Fail if its code and constants take more.",
)
@click.option(
    "--max-ram",
    metavar="BYTES",
    type=click.IntRange(min=1),
    help="Fail if its arena and stack take more.",
)
@click.option(
    "--float-storage", type=click.Choice(["fp32", "fp16"]), default="fp32", show_default=True,
    help="How the C program stores float weights; arithmetic is float32.",
)  # fmt: skip
@click.option(
    "--quantize-float", is_flag=True,
    help="Compute stem, downsamples and classifier in 8-bit integers, calibrated on --samples.",
)  # fmt: skip
@click.option(
    "--samples", type=click.Path(path_type=Path), help="For --quantize-float, as `check` takes them."
)  # fmt: skip
@click.option(
    "--input-dtype", type=click.Choice(["float32", "uint8"]), default="float32", show_default=True,
    help="What the C program takes; uint8: whole numbers from 0 to 255.",
)  # fmt: skip
@click.option(
    "--exact-float", is_flag=True,
    help="Sum float convolutions term by term: without Winograd's algorithm, which rpi targets use for "
    "first layers on large images, and which rounds more. Other targets do not use it anyway.",
)  # fmt: skip
@click.option(
    "--input-scale",
    callback=numbers,
    metavar="S[,S,S]",
    help="Multiply the input by it (one, or one a channel) within the exported network.",
)
@click.option(
    "--input-offset",
    callback=numbers,
    metavar="O[,O,O]",
    help="Add it to the input, after the scale.",
)
@click.option("--force", is_flag=True, help="Replace a folder that is not an earlier export.")
@as_json
def export(
    model: Path,
    load: LoadOptions,
    binarize_weights: bool,
    target: str,
    out: Path | None,
    require_binary: int | str | None,
    name: str | None,
    max_flash: int | None,
    max_ram: int | None,
    float_storage: Literal["fp32", "fp16"],
    quantize_float: bool,
    samples: Path | None,
    input_dtype: Literal["float32", "uint8"],
    exact_float: bool,
    input_scale: tuple[float, ...] | None,
    input_offset: tuple[float, ...] | None,
    force: bool,
    as_json: bool,
) -> None:
    """Export MODEL (.pt2, TorchScript, .onnx, or weights with --model) to ONNX, TFLite and C."""
    from r2b_edge import targets

    targets.load(target)  # a wrong name is told before anything heavy is imported
    if quantize_float != (samples is not None):
        raise InputError(
            "--quantize-float and --samples X.npy go together",
            "it is calibrated on what the network meets",
        )
    from r2b_edge.pipeline import ExportOptions, Storage, default_folder
    from r2b_edge.pipeline import export as run

    options = ExportOptions(
        load, name, force, require_binary, binarize_weights, max_flash, max_ram,
        Storage(float_storage, input_dtype, exact_float), input_scale, input_offset, samples,
    )  # fmt: skip
    with progress.stages() as stage:
        result = run(model, target=target, out=out, options=options, progress=stage)
    _answer(result, as_json)
    for layer in result.layers:
        if layer.suspect:
            warning = f"warning: {layer.name} stays float: {layer.reason}"
            click.echo(printable(warning), err=True)
    folder = out or default_folder(str(result.options["name"]), target)
    click.echo(f"written to {folder}; next: r2b-edge check {folder}", err=True)


@main.command()
@click.argument("out", type=click.Path(path_type=Path))
@samples_option
@click.option(
    "--labels", type=click.Path(path_type=Path), help="Y.npy, one integer for each sample."
)
@click.option(
    "--device",
    default="emulator",
    show_default=True,
    help="Where the C program runs: emulator or host.",
)
@click.option(
    "--threads", type=click.IntRange(1, 256), default=1, show_default=True,
    help="How many the C program runs on; the results are the same.",
)  # fmt: skip
@click.option(
    "--max-instructions", metavar="N", type=click.IntRange(min=1),
    help="Fail if one inference takes more, as counted under the emulator.",
)  # fmt: skip
@click.option(
    "--baseline", type=click.Path(path_type=Path),
    help="An earlier report.json: fail if one inference or a step takes over 2% more instructions.",
)  # fmt: skip
@as_json
def check(
    out: Path,
    samples: Path | None,
    labels: Path | None,
    device: str,
    threads: int,
    max_instructions: int | None,
    baseline: Path | None,
    as_json: bool,
) -> None:
    """Check an export step by step against onnxruntime, and update its report."""
    from r2b_edge.checking.limits import Limits
    from r2b_edge.checking.run import check as run
    from r2b_edge.checking.run import fault_of, unchecked

    limits = Limits.read(out, max_instructions, baseline)
    with progress.bar() as shown:
        result = run(
            out, samples=samples, labels=labels, device=device, threads=threads, progress=shown
        )
    _answer(result, as_json)
    if fault := fault_of(result):
        raise MismatchError(fault)
    if missing := unchecked(result):
        raise ToolMissingError(missing)
    excess = limits.excess(result)
    for line in (*excess[:-1], limits.remark(result)):
        if line:
            click.echo(printable(line), err=True)
    if excess:
        raise MismatchError(excess[-1])


@main.command()
@model_options
@samples_option
@click.option("--target", "-t", help="Name its kernels; default: those that every CPU has.")
@as_json
def inspect(
    model: Path,
    load: LoadOptions,
    binarize_weights: bool,
    samples: Path | None,
    target: str | None,
    as_json: bool,
) -> None:
    """Show what of MODEL is binary, what is not, and why. Writes nothing."""
    from r2b_edge import targets

    if target is not None:
        targets.load(target)
    from r2b_edge.inspection import inspect as run
    from r2b_edge.inspection import print_inspection

    with progress.stages() as stage:
        result = run(
            model,
            samples=samples,
            target=target,
            options=load,
            binarize_weights=binarize_weights,
            progress=stage,
        )
    if as_json:
        click.echo(result.to_json(), nl=False)
        return
    from rich.console import Console

    print_inspection(result, Console())


@main.command()
@click.argument("target", required=False)
@as_json
def targets(target: str | None, as_json: bool) -> None:
    """List the targets, or show one."""
    from r2b_edge import targets as known

    if target is not None:
        board = known.load(target)
        data = board.model_dump(mode="json")
        lines = [f"{key}: {value}" for key, value in data.items() if value not in (None, [], "")]
        click.echo(json.dumps(data, indent=2) if as_json else "\n".join(lines))
        return
    entries: list[dict[str, Any]] = []
    for name in known.names():
        try:
            entries.append(known.load(name).model_dump(mode="json"))
        except InputError as error:  # one broken file hides no other target
            entries.append({"name": name, "error": str(error)})
    if as_json:
        click.echo(json.dumps(entries, indent=2))
        return
    for entry in entries:
        told = entry.get("error") or f"{entry['core']:12} {entry['title']}"
        click.echo(printable(f"{entry['name']:14} {told}"))


def _answer(result: Report, as_json: bool) -> None:
    if as_json:
        click.echo(result.to_json(), nl=False)
        return
    from rich.console import Console

    from r2b_edge.report import print_report

    print_report(result, Console())
