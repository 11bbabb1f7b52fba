"""The service's programs: `karbor-api`, `karbor-engine`, and the application that gunicorn serves."""

from __future__ import annotations

import os
from pathlib import Path

import click

from karbor import config
from karbor.cli import logs
from karbor.serving.choices import config_file, run, verbose
from karbor.serving.http import Server
from karbor.serving.parts import Parts
from karbor.serving.signals import Ending

FILES = "KARBOR_CONFIG_FILES"
"""Environment variable: the configuration files of `wsgi`, with `:` between them."""


def read(files: tuple[Path, ...]) -> Parts:
    """The parts as the files, or else those in /etc/karbor, say. Raises Invalid."""
    return Parts(config.settings(files or None))


def wsgi() -> config.WSGIApp:
    """The API as a WSGI application. Raises KarborError, which keeps the server from starting."""
    named = [Path(name) for name in os.environ.get(FILES, "").split(":") if name]
    logs.set_up(verbose=False, file=None, service=True)
    return read(tuple(named)).application()


@click.command("karbor-api")
@config_file
@verbose
def _api(files: tuple[Path, ...], verbose: bool) -> None:
    """Serve Karbor's API until SIGTERM. For many processes serve karbor.main:wsgi() with gunicorn."""
    ending = Ending()
    logs.set_up(verbose=verbose, file=None, service=True)

    def program() -> None:
        parts = read(files)
        found = parts.settings
        server = Server(
            parts.application(), found.osapi_karbor_listen, found.osapi_karbor_listen_port, found.osapi_karbor_threads
        )
        server.start()
        click.echo(f"karbor-api: the API is at {server.url}", err=True)
        ending.wait()
        server.stop()
        parts.close()

    run(program, "karbor-api")


@click.command("karbor-engine")
@config_file
@verbose
def _engine(files: tuple[Path, ...], verbose: bool) -> None:
    """Run what the API takes in, and fire schedules, until SIGTERM. Another engine goes on with what runs then."""
    ending = Ending()
    logs.set_up(verbose=verbose, file=None, service=True)

    def program() -> None:
        parts = read(files)
        workforce = parts.workforce()
        workforce.start()
        click.echo("karbor-engine: it looks for work", err=True)
        ending.wait()
        workforce.stop()
        parts.close()

    run(program, "karbor-engine")


def api() -> None:
    """The console script `karbor-api`."""
    _api(prog_name="karbor-api")


def engine() -> None:
    """The console script `karbor-engine`."""
    _engine(prog_name="karbor-engine")
