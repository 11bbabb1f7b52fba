"""`karbor operation …`: what has been done, is being done, or waits for somebody to go on with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from karbor.cli.choices import Choices, Command, all_projects, common, no_wait
from karbor.cli.completion import operation_ids
from karbor.cli.workplace import Workplace
from karbor.model.errors import Ambiguous, Invalid, KarborError, NotFound

Row = Mapping[str, Any]

ID = click.argument("id", metavar="[ID]", required=False, shell_complete=operation_ids)
"""An operation; it may be left out where only one can be meant."""


@click.group()
def operation() -> None:
    """Operations: what was done, and what waits."""


@operation.command("list", cls=Command, short_help="List operations, newest first.")
@all_projects
@common
@click.pass_obj
def list_operations(choices: Choices, all_projects: bool) -> None:
    """List the operations of the cloud's project, newest first; `ended_at` is null for what has not ended."""
    from karbor.cli import tables
    from karbor.engine import report
    from karbor.store import operations

    workplace = Workplace(choices)
    project = workplace.project(all_projects=all_projects)
    workplace.tell_interrupted(project)
    documents = [report.operation_document(row) for row in operations.rows(workplace.database, project_id=project)]
    columns = ("id", "operation_type", "status", "checkpoint_id", "started_at", "ended_at", "error_info")
    tables.emit(
        choices.format, {"operation_logs": documents},
        lambda: tables.listing(columns, documents),
    )  # fmt: skip


@operation.command(cls=Command, short_help="Show one operation, and how to undo it.")
@ID
@common
@click.pass_obj
def show(choices: Choices, id: str | None) -> None:
    """Show one operation of DIR, the last one without an ID: what was made, used and noted, and how to undo it."""
    from karbor.cli import tables
    from karbor.store import operations

    workplace = Workplace(choices)
    row = operations.get(workplace.database, id or _the_last(workplace)["id"])
    document, noun = _document(workplace, row)
    workplace.tell_interrupted(but=row["id"])

    def show() -> None:
        tables.facts([("operation", f"{row['id']} ({row['operation_type']}, {row['phase']})")])
        tables.SHOWN[noun](document[noun])

    tables.emit(choices.format, {"operation_log": document}, show)


@operation.command(cls=Command, short_help="Stop a running operation.")
@ID
@common
@click.pass_obj
def cancel(choices: Choices, id: str | None) -> None:
    """Ask the process that runs an operation to stop it and to clean up; returns at once."""
    from karbor.cli import tables
    from karbor.store import operations

    workplace = Workplace(choices)
    if id is None:
        running = [row for row in _open(workplace) if operations.is_running(row)]
        id = _only(running, "is running")["id"]
    row = operations.get(workplace.database, id)
    if row["phase"] == "ended":
        raise KarborError(f"operation {id} has ended with status {row['status']}; nothing is left to cancel")
    if not operations.is_running(row):
        raise KarborError(f"no process runs it to be told: {workplace.sentence(row)}")
    operations.cancel(workplace.database, id)
    workplace.tell_interrupted(but=id)
    click.echo(f"operation {id} has been asked to stop", err=True)
    document, _ = _document(workplace, operations.get(workplace.database, id))
    tables.emit(choices.format, {"operation_log": document}, lambda: None)


@operation.command(cls=Command, short_help="Go on with what was interrupted.")
@ID
@no_wait
@common
@click.pass_obj
def resume(choices: Choices, id: str | None, no_wait: bool) -> int:
    """Go on with an operation that was interrupted or that failed and was kept; ends as its own command would have."""
    from karbor.cli import results
    from karbor.store import operations

    workplace = Workplace(choices)
    row = _one_that_waits(workplace, id)
    if row["phase"] == "ended":
        raise Invalid(f"operation {row['id']} has ended with status {row['status']}; nothing is left to do")
    if operations.is_running(row):
        raise Invalid(f"operation {row['id']} is being run by process {row['owner']['pid']} on {row['owner']['host']}")
    cloud = workplace.connect(otherwise=row["cloud"]["name"])
    workplace.tell_interrupted(cloud.project_id, but=row["id"])
    if row["phase"] == "forward":
        operations.update(workplace.database, row["id"], cancel=False)  # whoever resumes it has thought better of it
    return results.carry_out(workplace, cloud, row["id"], wait=not no_wait)


@operation.command(cls=Command, short_help="Take back what an operation did.")
@ID
@common
@click.pass_obj
def rollback(choices: Choices, id: str | None) -> int:
    """Take back what an operation did: one that was interrupted, one that failed and was kept, or a whole restore."""
    from karbor.cli import results, running

    workplace = Workplace(choices)
    row = _one_that_waits(workplace, id)
    cloud = workplace.connect(otherwise=row["cloud"]["name"])
    workplace.tell_interrupted(cloud.project_id, but=row["id"])
    outcome = running.run(workplace, row["id"], lambda: workplace.engine.roll_back(row["id"], cloud))
    results.conclude(workplace, outcome)
    if outcome.interrupted:
        return running.INTERRUPTED
    return results.GOOD if outcome.row["phase"] == "ended" else results.FAILED


def _document(workplace: Workplace, row: Row) -> tuple[dict[str, Any], str]:
    """The log of an operation with the document of what it is about inside, and that one's name."""
    from karbor.cli import results
    from karbor.engine import report

    noun, document = results.subject(workplace, row)
    return {**report.operation_document(row), noun: document}, noun


def _one_that_waits(workplace: Workplace, id: str | None) -> Row:
    """The operation `id`, or the only one that no process runs. Raises NotFound, Ambiguous."""
    from karbor.store import operations

    if id is not None:
        return operations.get(workplace.database, id)
    mine = {row["id"] for row in _open(workplace)}
    return _only([row for row in workplace.interrupted() if row["id"] in mine], "waits to be gone on with")


def _open(workplace: Workplace) -> list[Row]:
    """What has not ended, of the chosen cloud if one is chosen."""
    from karbor.store import operations

    cloud = workplace.choices.cloud
    rows = operations.rows(workplace.database, open_only=True)
    return [row for row in rows if cloud in (None, row["cloud"]["name"])]


def _the_last(workplace: Workplace) -> Row:
    from karbor.store import operations

    rows = operations.rows(workplace.database)
    if not rows:
        raise NotFound(f"there is no operation yet in {workplace.folder}")
    return rows[0]


def _only(rows: Sequence[Row], what: str) -> Row:
    if len(rows) == 1:
        return rows[0]
    if not rows:
        raise Invalid(f"no operation {what}; name one, `karbor operation list` shows them")
    raise Ambiguous(f"more than one operation {what}; name one of {', '.join(row['id'] for row in rows)}")
