"""The command `karbor-status`: whether this host is ready for this version, before the service is started."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import click

from karbor import config, notifier
from karbor.api import policy
from karbor.cloud.delegation import Delegation
from karbor.model.errors import KarborError
from karbor.providers import load_providers
from karbor.serving.choices import config_file
from karbor.store import upkeep
from karbor.store.sealed import Seal

FAILED_TO_RUN = 255
WIDTH = 78


class Code(IntEnum):
    """How a check ended; the highest is the exit status."""

    SUCCESS = 0
    WARNING = 1
    FAILURE = 2


class Result(NamedTuple):
    """What one check found."""

    name: str
    code: Code
    details: str = ""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="karbor-service", prog_name="karbor-status")
def status() -> None:
    """Tell whether this host is ready."""


@status.group()
def upgrade() -> None:
    """Before the service is started in a new version."""


@upgrade.command()
@config_file
def check(files: tuple[Path, ...]) -> None:
    """Look at configuration, policy, database, providers and keys.

    Exit status: 0 ready; 1 something to look at; 2 not ready; 255 the checks could not be run.
    """
    try:
        settings = config.settings(files or None)
    except KarborError as error:
        click.echo(f"karbor-status: {error}", err=True)
        sys.exit(FAILED_TO_RUN)
    results = list(_results(settings))
    click.echo(_table(results))
    sys.exit(max(result.code for result in results))


def _results(settings: Any) -> Iterator[Result]:
    for name, look in (
        ("Configuration", _configuration),
        ("Database schema", _database),
        ("Providers", _providers),
        ("Sealing keys", _keys),
    ):
        yield _result(name, look, settings)


def _result(name: str, look: Callable[[Any], str], settings: Any) -> Result:
    try:
        warning = look(settings)
    except (KarborError, OSError) as error:
        return Result(name, Code.FAILURE, " ".join(str(error).split()))
    return Result(name, Code.WARNING if warning else Code.SUCCESS, warning)


def _configuration(settings: Any) -> str:
    Delegation(**config.service_login(settings))
    config.identity(settings)
    notifier.connected(settings)
    policy.make_enforcer(settings)
    return ""


def _database(settings: Any) -> str:
    upkeep.check(settings.database.connection)
    local = settings.database.connection.startswith("sqlite")
    return "SQLite serves processes of one host only; use MariaDB or PostgreSQL for more" if local else ""


def _providers(settings: Any) -> str:
    folder = Path(settings.provider_config_dir)
    for provider in load_providers(Path(settings.state_path), folder).values():
        provider.archive.bank_id()  # a bank that cannot be used is known now
    return "" if any(folder.glob("*.conf")) else f"no file in {folder}: the built-in providers are used"


def _keys(settings: Any) -> str:
    file = Path(settings.secret_key_file)
    if not file.exists():
        return f"{file} is not there; it is made at the first start, and must be the same on every host"
    Seal.of_file(file)
    return ""


def _table(results: list[Result]) -> str:
    """The table that `upgrade check` of every OpenStack service prints."""
    line = f"+{'-' * (WIDTH + 2)}+"
    rows = [line, f"| {'Upgrade Check Results':<{WIDTH}} |", line]
    for result in results:
        said = [f"Check: {result.name}", f"Result: {result.code.name.capitalize()}"]
        rows += [f"| {text:<{WIDTH}} |" for text in (*said, *_wrapped(f"Details: {result.details or 'None'}"))]
        rows.append(line)
    return "\n".join(rows)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ")


def main() -> None:
    """The console script."""
    status(prog_name="karbor-status")
