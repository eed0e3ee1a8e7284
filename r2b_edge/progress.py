"""What the command line says on stderr while it works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def stages() -> Iterator[Callable[[str], None]]:
    """Say on stderr what is being done; as a spinner on a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("starting") as status:
            yield lambda stage: status.update(stage)
    else:
        yield lambda stage: click.echo(stage, err=True)


@contextmanager
def bar() -> Iterator[Callable[[str, int, int], None]]:
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
