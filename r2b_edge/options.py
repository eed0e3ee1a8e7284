"""What several commands of the command line share: options, and what their texts must be."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def _shapes(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> Any:
    try:
        shapes = tuple(tuple(int(size) for size in text.split(",")) for text in texts)
    except ValueError:
        raise click.BadParameter(
            "a shape is whole numbers with commas, such as 1,3,32,32"
        ) from None
    return shapes or None


def numbers(_context: click.Context, _option: click.Parameter, text: str | None) -> Any:
    """A callback: numbers with commas as a tuple of floats."""
    try:
        return None if text is None else tuple(float(number) for number in text.split(","))
    except ValueError:
        raise click.BadParameter("numbers with commas, such as 0.5 or 0.5,0.25,1") from None


def at_least(_context: click.Context, _option: click.Parameter, text: str | None) -> Any:
    """A callback: a whole number as an int, all else as it is."""
    return int(text) if text is not None and text.isdecimal() else text


def model_options(command: Callable[..., None]) -> Callable[..., None]:
    """MODEL and what says how it is read, the same for every command that takes one: it gets `model` and `load`."""

    @functools.wraps(command)
    def bundled(
        *,
        input_shape: tuple[tuple[int, ...], ...] | None,
        factory: str | None,
        allow_pickle: bool,
        source_dir: Path | None,
        **others: Any,
    ) -> None:
        from r2b_edge.frontend import LoadOptions

        load = LoadOptions(
            input_shape=input_shape,
            model=factory,
            allow_pickle=allow_pickle,
            source_dir=source_dir,
        )
        command(load=load, **others)

    options = (
        click.argument("model", type=click.Path(path_type=Path)),
        click.option(
            "--input-shape",
            multiple=True,
            callback=_shapes,
            metavar="1,3,32,32",
            help="One for each input.",
        ),
        click.option(
            "--model",
            "factory",
            metavar="FILE:CALLABLE",
            help="What makes the nn.Module of a state_dict or safetensors file. Runs that file.",
        ),
        click.option(
            "--allow-pickle",
            is_flag=True,
            help="Unpickle what MODEL holds. Runs any code that its author put there.",
        ),
        click.option(
            "--source-dir",
            type=click.Path(path_type=Path),
            help="A folder with the Python modules that MODEL needs.",
        ),
        click.option(
            "--binarize-weights",
            is_flag=True,
            help="Take the sign of real weights that meet a binary input, times mean|w|.",
        ),
    )
    for option in reversed(options):
        bundled = option(bundled)
    return bundled


samples_option = click.option(
    "--samples",
    type=click.Path(path_type=Path),
    help="X.npy in the model's layout, X.npz by name for several inputs; default: 8 seeded.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
