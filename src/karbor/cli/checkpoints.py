"""`karbor checkpoint …`: lists, shows, verifies, imports, deletes and prunes checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import click

from karbor.cli import names
from karbor.cli.choices import Choices, Command, all_projects, common, no_wait, options_of_plugins
from karbor.cli.completion import checkpoint_ids
from karbor.cli.workplace import Workplace
from karbor.model.errors import KarborError

Row = Mapping[str, Any]

PRUNE_EXAMPLE = "\b\nExample:\n  karbor checkpoint prune --cloud prod --keep 7\n"


@click.group()
def checkpoint() -> None:
    """Checkpoints: what was saved."""


@checkpoint.command("list", cls=Command, short_help="List checkpoints, newest first.")
@all_projects
@common
@click.pass_obj
def list_checkpoints(choices: Choices, all_projects: bool) -> None:
    """List the checkpoints of the cloud's project, newest first."""
    from karbor.store import checkpoints

    workplace = Workplace(choices)
    project = workplace.project(all_projects=all_projects)
    workplace.tell_interrupted(project)
    _tell_all(workplace, checkpoints.rows(workplace.database, project_id=project))


@checkpoint.command(cls=Command, short_help="Show one checkpoint.")
@click.argument("id", metavar="CHECKPOINT", shell_complete=checkpoint_ids)
@common
@click.pass_obj
def show(choices: Choices, id: str) -> None:
    """Show one checkpoint of DIR with its resources."""
    from karbor.cli import tables
    from karbor.engine import report
    from karbor.store import checkpoints

    workplace = Workplace(choices)
    document = report.checkpoint_document(workplace.database, checkpoints.get(workplace.database, id))
    workplace.tell_interrupted()
    tables.emit(choices.format, {"checkpoint": document}, lambda: tables.checkpoint(document))


@click.command(
    cls=Command,
    epilog="\b\nExamples:\n  karbor verify CHECKPOINT\n  karbor checkpoint verify CHECKPOINT --no-wait\n",
    short_help="Prove that a checkpoint can be restored.",
)
@click.argument("id", metavar="CHECKPOINT", shell_complete=checkpoint_ids)
@options_of_plugins
@no_wait
@common
@click.pass_obj
def verify(choices: Choices, id: str, options: tuple[str, ...], no_wait: bool) -> int:
    """Prove that CHECKPOINT can be restored: what is in the bank is read and hashed, services are asked for theirs."""
    from karbor.cli import results
    from karbor.store import checkpoints

    workplace = Workplace(choices)
    parameters = names.parameters(options)
    row = checkpoints.get(workplace.database, id)
    parameters = names.addressed(parameters, names.checkpoint(row))
    cloud = workplace.connect(otherwise=_cloud_of(row))
    workplace.tell_interrupted(cloud.project_id)
    operation = workplace.engine.start("verify", cloud, id, parameters=parameters)
    return results.carry_out(workplace, cloud, operation, wait=not no_wait)


checkpoint.add_command(verify)


@checkpoint.command(cls=Command, short_help="Delete checkpoints.")
@click.argument("ids", metavar="CHECKPOINT...", nargs=-1, required=True, shell_complete=checkpoint_ids)
@common
@click.pass_obj
def delete(choices: Choices, ids: tuple[str, ...]) -> int:
    """Delete checkpoints with everything that they hold in banks and services.

    One that others' increments depend on is `deleting` at once and can no longer be restored; its backup goes after
    its last dependant.
    """
    from karbor.store import checkpoints

    workplace = Workplace(choices)
    rows = [checkpoints.get(workplace.database, id) for id in dict.fromkeys(ids)]
    return _delete(workplace, rows, one=len(rows) == 1)


@checkpoint.command(cls=Command, epilog=PRUNE_EXAMPLE, short_help="Delete old checkpoints.")
@click.option("--keep", type=click.IntRange(min=1), required=True, metavar="N", help="How many to keep.")
@common
@click.pass_obj
def prune(choices: Choices, keep: int) -> int:
    """Delete old checkpoints of the cloud's project: of those of the same resources the newest N good ones stay.

    One in error is not counted; it goes when it is older than the last that stays.
    """
    from karbor.store import checkpoints

    workplace = Workplace(choices)
    project = workplace.connect().project_id
    return _delete(workplace, outdated(checkpoints.rows(workplace.database, project_id=project), keep))


@checkpoint.command("import", cls=Command, short_help="Take in what a bank holds.")
@click.option("--provider", metavar="NAME", help="The provider, by name or id, whose bank is read.")
@all_projects
@common
@click.pass_obj
def import_checkpoints(choices: Choices, provider: str | None, all_projects: bool) -> int:
    """Take in the checkpoints that a provider's bank holds, for example from another host or after a lost database."""
    from karbor.providers import find_provider

    workplace = Workplace(choices)
    source = find_provider(workplace.providers, provider)
    project = workplace.project(all_projects=all_projects)
    workplace.tell_interrupted(project)
    workplace.found()
    found, damaged = workplace.engine.import_checkpoints(source, project)
    for entry in damaged:
        click.echo(f"karbor: checkpoint {entry.checkpoint_id} was not taken in: {entry.why}", err=True)
    _tell_all(workplace, found)
    return 1 if damaged else 0


def outdated(rows: Sequence[Row], keep: int) -> list[Row]:
    """Which of `rows` (newest first) go when of each set of the same resources the newest `keep` good ones stay."""
    good: dict[object, int] = {}
    going = []
    for row in rows:
        if row["status"] not in ("available", "error"):
            continue
        resources = frozenset((item["type"], item["id"]) for item in row["plan"]["resources"])
        name = (row["project_id"], row["provider_id"], resources)
        if good.get(name, 0) >= keep:
            going.append(row)
        elif row["status"] == "available":
            good[name] = good.get(name, 0) + 1
    return going


def _delete(workplace: Workplace, rows: Sequence[Row], *, one: bool = False) -> int:
    """Delete checkpoints one after the other, newest first, because increments go before what they depend on.

    Of several, one that cannot be deleted now is told and left, so that it does not hold up the others.
    """
    from karbor.cli import results, running
    from karbor.store import checkpoints

    clouds = {name: workplace.connect(otherwise=name) for name in dict.fromkeys(map(_cloud_of, rows))}
    for project in {cloud.project_id for cloud in clouds.values()}:
        workplace.tell_interrupted(project)
    engine, worst = workplace.engine, results.GOOD
    for row in sorted(rows, key=lambda row: str(row["created_at"]), reverse=True):
        cloud = clouds[_cloud_of(row)]
        try:
            id = engine.start("delete", cloud, row["id"])
            outcome = running.run(workplace, id, partial(engine.run, id, cloud))
        except KarborError as error:
            if one:
                raise
            click.echo(f"karbor: {error}", err=True)
            worst = max(worst, results.FAILED)
            continue
        worst = max(worst, results.exit_status(workplace, outcome))
        if outcome.interrupted:
            break
    _tell_all(workplace, [checkpoints.get(workplace.database, row["id"]) for row in rows], one=one)
    return worst


def _tell_all(workplace: Workplace, rows: Iterable[Row], *, one: bool = False) -> None:
    from karbor.cli import tables
    from karbor.engine import report

    documents = [report.checkpoint_document(workplace.database, row) for row in rows]
    columns = ("id", "name", "status", "created_at", "project_id", "reason")
    tables.emit(
        workplace.choices.format,
        {"checkpoint": documents[0]} if one else {"checkpoints": documents},
        lambda: tables.listing(columns, documents),
    )


def _cloud_of(row: Row) -> str:
    """The cloud that a checkpoint was made in, if its name is known here."""
    return str(row["cloud"].get("name") or "")
