"""`karbor sandbox`: a small OpenStack on this machine, to try everything on."""

from __future__ import annotations

import click

from karbor.cli.choices import Choices, Command, common
from karbor.model.errors import KarborError


@click.command(
    cls=Command,
    epilog="\b\nExample:\n  karbor sandbox --state ~/try &\n",
    short_help="Serve a small OpenStack to try it on.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port on 127.0.0.1.  [default: a free one]")
@click.option(
    "--delay", type=click.FloatRange(min=0), default=0.0, show_default=True, metavar="SECONDS",
    help="How long each asynchronous step takes.",
)  # fmt: skip
@common
@click.pass_obj
def sandbox(choices: Choices, port: int, delay: float) -> None:
    """Serve a small OpenStack on 127.0.0.1 until Ctrl-C.

    Its clouds `sandbox`, `sandbox-b` (another project) and `sandbox-admin` are written to DIR/clouds.yaml, its data
    lies in DIR/sandbox and is there again after a restart.
    """
    from karbor.sandbox import AlreadyRunning, serve

    def ready(url: str) -> None:
        click.echo(f"the sandbox listens on {url}; its clouds are in {choices.folder / 'clouds.yaml'}", err=True)

    try:
        serve(choices.folder, port, delay, ready=ready)
    except AlreadyRunning as error:
        raise KarborError(str(error)) from error
