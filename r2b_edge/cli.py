"""The command line: each command a couple of calls. The answer goes to stdout, progress to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from r2b_edge.errors import InputError, MismatchError, R2BError, ToolMissingError
from r2b_edge.version import __version__

if TYPE_CHECKING:
    from r2b_edge.report import Report

INTERRUPTED = 130


class Commands(click.Group):
    """Ends every command with the contract's exit code, and a user's mistake in one line."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command; never returns."""
        try:
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
                click.echo(f"r2b-edge: {_one_line(str(error))}", err=True)
            sys.exit(code)
        sys.exit(0)


def _one_line(text: str) -> str:
    """A message that names of a stranger's model cannot spread over the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="r2b-edge")
def main() -> None:
    """Deploy binary neural networks from PyTorch: TFLite with LCE ops, and C for Arm."""


def _shapes(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> Any:
    try:
        shapes = tuple(tuple(int(size) for size in text.split(",")) for text in texts)
    except ValueError:
        raise click.BadParameter(
            "a shape is whole numbers with commas, such as 1,3,32,32"
        ) from None
    return shapes or None


as_json = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
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
    "--input-shape",
    multiple=True,
    callback=_shapes,
    metavar="1,3,32,32",
    help="One for each input.",
)
@click.option(
    "--model",
    "factory",
    metavar="FILE:CALLABLE",
    help="What makes the nn.Module of a state_dict. Runs that file.",
)
@click.option("--name", help="The model's name in C.")
@click.option("--force", is_flag=True, help="Replace a folder that is not an earlier export.")
@as_json
def export(
    model: Path,
    target: str,
    out: Path | None,
    input_shape: tuple[tuple[int, ...], ...] | None,
    factory: str | None,
    name: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Export MODEL (.pt2, .onnx, or a state_dict with --model) to ONNX, TFLite and C."""
    from r2b_edge import targets

    targets.load(target)  # a wrong name is told before anything heavy is imported
    from r2b_edge.frontend import LoadOptions
    from r2b_edge.pipeline import ExportOptions, default_folder
    from r2b_edge.pipeline import export as run

    options = ExportOptions(LoadOptions(input_shape=input_shape, model=factory), name, force)
    with _stages() as stage:
        result = run(model, target=target, out=out, options=options, progress=stage)
    _answer(result, as_json)
    folder = out or default_folder(str(result.options["name"]), target)
    click.echo(f"written to {folder}; next: r2b-edge check {folder}", err=True)


@main.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--samples",
    type=click.Path(path_type=Path),
    help="X.npy in the model's layout; default: 8 seeded.",
)
@click.option(
    "--labels", type=click.Path(path_type=Path), help="Y.npy, one integer for each sample."
)
@click.option(
    "--device",
    default="emulator",
    show_default=True,
    help="Where the C program runs: emulator or host.",
)
@as_json
def check(out: Path, samples: Path | None, labels: Path | None, device: str, as_json: bool) -> None:
    """Check an export step by step against onnxruntime, and update its report."""
    from r2b_edge.checking.run import check as run
    from r2b_edge.checking.run import fault_of, unchecked

    with _bar() as progress:
        result = run(out, samples=samples, labels=labels, device=device, progress=progress)
    _answer(result, as_json)
    if fault := fault_of(result):
        raise MismatchError(fault)
    if missing := unchecked(result):
        raise ToolMissingError(missing)


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
    boards = [known.load(name) for name in known.names()]
    if as_json:
        click.echo(json.dumps([board.model_dump(mode="json") for board in boards], indent=2))
        return
    for board in boards:
        click.echo(f"{board.name:14} {board.core:12} {board.title}")


def _answer(result: Report, as_json: bool) -> None:
    if as_json:
        click.echo(result.to_json(), nl=False)
        return
    from rich.console import Console

    from r2b_edge.report import print_report

    print_report(result, Console())


@contextmanager
def _stages() -> Iterator[Callable[[str], None]]:
    """Say on stderr what is being done; as a spinner on a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("starting") as status:
            yield lambda stage: status.update(stage)
    else:
        yield lambda stage: click.echo(stage, err=True)


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr, on a terminal only."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda stage, done, of: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda stage, done, of: bar.update(task, description=stage, completed=done, total=of)
