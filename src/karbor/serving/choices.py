"""What the service's programs have in common: which configuration they read, and how they end with an error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from karbor.model.errors import KarborError

config_file = click.option(
    "--config-file", "files", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A configuration file; may be repeated, later ones win.  [default: those in /etc/karbor]",
)  # fmt: skip
verbose = click.option("-v", "--verbose", is_flag=True, help="Log what happens, not only what is wrong.")


def run(program: Callable[[], None], name: str) -> None:
    """Run a program's body; an error of ours ends it with one line and status 1."""
    try:
        program()
    except (KarborError, OSError) as error:
        click.echo(f"{name}: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
