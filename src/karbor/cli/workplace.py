"""What a command works with: its state folder and, each when first asked for, database, providers, cloud and engine.

Modules that take long to import are imported where they are used, so that help and completion answer at once.
"""

from __future__ import annotations

import shlex
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from karbor import clock
from karbor.cli.choices import Choices, default_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    import sqlalchemy as sa

    from karbor.cloud.connection import Cloud
    from karbor.engine.worker import Engine
    from karbor.providers import Provider

_YOUNG = 30.0
"""Seconds in which an operation that was just taken in may wait for its detached process to begin."""


class Workplace:
    """The state folder that a command line chose."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.folder: Path = choices.folder

    @cached_property
    def database(self) -> sa.Engine:
        """The database; one in memory where there is none yet, so that reading and bad input leave nothing behind.

        Raises FormatTooNew, KarborError.
        """
        from karbor.store.database import open_database, open_state

        return open_state(self.folder) if (self.folder / "karbor.db").exists() else open_database("sqlite://")

    def found(self) -> None:
        """Make the state folder with its database: something is going to be written."""
        from karbor.store.database import open_state

        self.database = open_state(self.folder)

    @cached_property
    def providers(self) -> Mapping[str, Provider]:
        """The configured providers. Raises Invalid, BankUnreadable."""
        from karbor.providers import load_providers

        return load_providers(self.folder)

    @cached_property
    def engine(self) -> Engine:
        from karbor.engine.worker import Engine

        return Engine(self.database, self.providers)

    def connect(self, otherwise: str = "") -> Cloud:
        """Log in to the chosen cloud, or to the one called `otherwise`. Raises UsageError, NotFound, CloudError."""
        from karbor.cloud.connection import Cloud

        name = self.choices.cloud or otherwise
        if not name:
            raise click.UsageError("no cloud is named; give --cloud NAME or set OS_CLOUD")
        return Cloud.connect(name, state=self.folder)

    def project(self, *, all_projects: bool) -> str | None:
        """Whose things a list shows: the chosen cloud's project, or None for everybody's."""
        if all_projects:
            return None
        if not self.choices.cloud:
            raise click.UsageError("give --cloud NAME (or set OS_CLOUD) for its project's, or --all-projects")
        return self.connect().project_id

    def command(self, *words: str) -> str:
        """A command line that does something more in the same state folder, to be shown to people."""
        place = () if self.folder == default_folder() else ("--state", str(self.folder))
        return shlex.join(("karbor", *words, *place))

    def interrupted(self, project_id: str | None = None) -> Iterable[Mapping[str, Any]]:
        """Operations that have not ended and that no living process runs, newest first."""
        from karbor.store import operations

        for row in operations.rows(self.database, project_id=project_id, open_only=True):
            starting = row["started_at"] is None and clock.seconds_since(row["created_at"]) < _YOUNG
            if not starting and not operations.is_running(row):
                yield row

    def tell_interrupted(self, project_id: str | None = None, but: str = "") -> None:
        """Say on standard error which operations wait for somebody to go on with them; not of the one called `but`."""
        for row in self.interrupted(project_id):
            if row["id"] != but:
                click.echo(f"karbor: {self.sentence(row)}", err=True)

    def sentence(self, row: Mapping[str, Any]) -> str:
        """What has become of an operation that has not ended, and what can be done about it."""
        what = f"operation {row['id']} ({row['operation_type']})"
        resume = f"`{self.command('operation', 'resume', row['id'])}`"
        back = f"`{self.command('operation', 'rollback', row['id'])}`"
        if row["phase"] == "rollback":
            return f"{what} is not taken back to the end; {back} goes on with that"
        if row["phase"] == "kept":
            return f"{what} failed and keeps what it made; {resume} tries again, {back} takes it back"
        if row["operation_type"] in ("protect", "restore"):
            return f"{what} was interrupted; {resume} continues it, {back} takes it back"
        return f"{what} was interrupted; {resume} continues it"
