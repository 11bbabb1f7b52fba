"""The end of a command: its document on standard output, what is left to do on standard error, its exit status."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import click

from karbor.cli import running, tables
from karbor.cli.running import INTERRUPTED, Outcome
from karbor.cli.workplace import Workplace
from karbor.cloud.connection import Cloud
from karbor.engine import report
from karbor.engine.outline import Outline
from karbor.model.resource import ResourceGraph
from karbor.store import operations

GOOD, FAILED, PARTIAL = 0, 1, 3
FINISHED = ("available", "success", "deleted", "deleting")
"""The statuses of operations that have done what was asked for."""

Row = Mapping[str, Any]


def carry_out(workplace: Workplace, cloud: Cloud, id: str, *, wait: bool) -> int:
    """Run operation `id` to its end, or leave it to a process of its own; tell how it is then. The exit status."""
    click.echo(f"operation {id}", err=True)
    if wait:
        return conclude(workplace, running.run(workplace, id, partial(workplace.engine.run, id, cloud)))
    running.detach(workplace, id)
    tell(workplace, operations.get(workplace.database, id))
    return GOOD


def conclude(workplace: Workplace, outcome: Outcome) -> int:
    """Tell how an operation that was run has come out; the exit status."""
    tell(workplace, outcome.row)
    if outcome.row["phase"] != "ended":
        click.echo(f"karbor: {workplace.sentence(outcome.row)}", err=True)
    elif outcome.interrupted and outcome.row["status"] in FINISHED:
        click.echo(f"karbor: operation {outcome.row['id']} had come to its end before it could be cancelled", err=True)
    return exit_status(workplace, outcome)


def exit_status(workplace: Workplace, outcome: Outcome) -> int:
    """The exit status of a command that ran one operation."""
    if outcome.interrupted:
        return INTERRUPTED
    return status_of(outcome.row, report.subject(workplace.database, outcome.row)[1])


def tell(workplace: Workplace, row: Row) -> None:
    """Write the document of an operation's subject to standard output."""
    noun, document = subject(workplace, row)
    tables.emit(workplace.choices.format, {noun: document}, lambda: tables.SHOWN[noun](document))


def subject(workplace: Workplace, row: Row) -> tuple[str, dict[str, Any]]:
    """The document of what an operation is about; a restore's also says how to undo it."""
    noun, document = report.subject(workplace.database, row)
    if noun == "restore":
        document["undo"] = workplace.command("operation", "rollback", row["id"]) if document["made"] else None
    return noun, document


def status_of(row: Row, document: Mapping[str, Any]) -> int:
    """0 all good; 3 where something good has come of a protect, or stands after a restore that keeps; else 1."""
    if row["status"] in FINISHED and row["phase"] == "ended":
        return GOOD
    some = any(item["status"] == "available" for item in document["resources"])
    if row["operation_type"] == "protect" and row["phase"] == "ended" and some:
        return PARTIAL
    if row["operation_type"] == "restore" and row["phase"] == "kept" and document["made"]:
        return PARTIAL
    return FAILED


def tell_outline(workplace: Workplace, checkpoint_id: str, graph: ResourceGraph, outline: Outline) -> int:
    """Write what a restore would do; the exit status says whether it could."""
    document = report.outline_document(checkpoint_id, graph, outline)
    tables.emit(workplace.choices.format, {"outline": document}, lambda: tables.outline(document))
    return FAILED if document["blockers"] else GOOD
