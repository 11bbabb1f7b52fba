"""`karbor serve`: the service on this machine, with a cloud to try it on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from karbor.cli import logs
from karbor.cli.choices import Choices, Command, common

Serve = Callable[..., None]


def command(serve: Callable[[], Serve]) -> click.Command:
    """The command; `serve` gives what serves (see `serving.embedded.serve`), which lies above this layer."""

    @click.command(
        "serve",
        cls=Command,
        epilog="\b\nExample:\n  karbor serve --state ~/try &\n",
        short_help="Serve the REST API, with a small OpenStack to try it on.",
    )
    @click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=8799,
        show_default=True,
        help="The API's port on 127.0.0.1; 0 takes a free one.",
    )
    @click.option(
        "--sandbox-port",
        type=click.IntRange(1, 65535),
        default=None,
        help="The sandbox's port.  [default: a free one, or that of the sandbox that runs on DIR]",
    )
    @common
    @click.pass_obj
    def serve_command(choices: Choices, port: int, sandbox_port: int | None) -> None:
        """Serve the REST API, the engine and the schedules on 127.0.0.1 until Ctrl-C.

        The cloud is a sandbox: the one that runs on DIR, or one that starts and stops with this command. The API is
        in its catalogue, so every OpenStack client finds it: its clouds are in DIR/clouds.yaml.
        """

        def ready(url: str) -> None:
            click.echo(f"karbor: the API is at {url}; its clouds are in {choices.folder / 'clouds.yaml'}", err=True)

        logs.set_up(verbose=choices.verbose, file=choices.log_file, service=True)
        serve()(Path(choices.folder), port, sandbox_port, ready=ready)

    return serve_command  # fmt: skip
