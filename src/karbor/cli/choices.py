"""What all commands let their user choose: state folder, cloud, format, log. Given before the command or after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import click
import platformdirs

from karbor.cli import logs

_F = TypeVar("_F", bound=Callable[..., Any])

STATE_VARIABLE = "KARBOR_STATE"


def default_folder() -> Path:
    """The state folder without `--state`: the one below the user's data."""
    return platformdirs.user_data_path("karbor")


@dataclass
class Choices:
    """The choices of one command line; the word after the command wins over the one before it."""

    state: Path | None = None
    cloud: str | None = None
    format: str = "table"
    verbose: bool = False
    log_file: Path | None = None

    @property
    def folder(self) -> Path:
        """The state folder, absolute."""
        return (self.state or default_folder()).absolute()


class Command(click.Command):
    """A command that begins with its log set up as chosen."""

    def invoke(self, ctx: click.Context) -> Any:
        choices = ctx.ensure_object(Choices)
        logs.set_up(verbose=choices.verbose, file=choices.log_file)
        return super().invoke(ctx)


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value is not None:
        setattr(ctx.ensure_object(Choices), str(param.name), value)


def _options(*, environment: bool) -> list[Callable[[_F], _F]]:
    """The shared options. The environment counts least, so only the outermost command reads it."""

    def option(*names: str, variable: str = "", **facts: Any) -> Callable[[_F], _F]:
        envvar = variable if variable and environment else None
        return click.option(*names, envvar=envvar, default=None, expose_value=False, callback=_remember, **facts)

    return [
        option(
            "--state", metavar="DIR", variable=STATE_VARIABLE,
            type=click.Path(file_okay=False, path_type=Path),
            help=f"The state folder: database, bank, logs.  [env: {STATE_VARIABLE}; default: {default_folder()}]",
        ),
        option(
            "--cloud", "--os-cloud", "cloud", metavar="NAME", variable="OS_CLOUD",
            help="The cloud, as clouds.yaml in DIR or in OpenStack's usual places calls it.  [env: OS_CLOUD]",
        ),
        option(
            "-f", "--format", "format", type=click.Choice(["table", "json"]),
            help="Tables for people, one JSON document for programs.  [default: table]",
        ),
        option("-v", "--verbose", is_flag=True, help="Say on standard error what happens, and show tracebacks."),
        option(
            "--log-file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
            help="Write the log to FILE as well.",
        ),
    ]  # fmt: skip


def common(command: _F) -> _F:
    """Give a command the options that all have."""
    return reduce(lambda done, option: option(done), reversed(_options(environment=False)), command)


def outermost(command: _F) -> _F:
    """The same for `karbor` itself, which also reads the environment."""
    return reduce(lambda done, option: option(done), reversed(_options(environment=True)), command)


def all_projects(command: _F) -> _F:
    """`--all-projects`, for commands that list."""
    return click.option("--all-projects", is_flag=True, help="Those of all projects in DIR, without asking a cloud.")(
        command
    )


def no_wait(command: _F) -> _F:
    """`--no-wait`, for commands that may take long."""
    return click.option(
        "--no-wait", is_flag=True, help="Go on detached, with the log in DIR/log/, and print the operation's id."
    )(command)


def options_of_plugins(command: _F) -> _F:
    """`--option`, for verbs of plug-ins."""
    return click.option(
        "--option", "options", metavar="TYPE[#NAME_OR_ID].KEY=VALUE", multiple=True,
        help="An option of a plug-in, for a type of resource or for one resource; may be repeated.",
    )(command)  # fmt: skip
