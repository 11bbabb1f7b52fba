"""`karbor protectable …`: what a cloud has that can be protected."""

from __future__ import annotations

import click

from karbor.cli import names
from karbor.cli.choices import Choices, Command, common
from karbor.cli.workplace import Workplace
from karbor.model.errors import NotFound


@click.group()
def protectable() -> None:
    """Protectables: what can be protected."""


@protectable.command("list", cls=Command, short_help="List kinds, or a cloud's resources of one.")
@click.argument("kind", required=False)
@common
@click.pass_obj
def list_protectables(choices: Choices, kind: str | None) -> None:
    """List the kinds of resources that can be protected, or the cloud's resources of one KIND."""
    from karbor.cli import tables
    from karbor.cloud.inventory import Inventory
    from karbor.engine import report
    from karbor.engine.discover import protectable
    from karbor.plugins import registry

    workplace = Workplace(choices)
    if kind is None:
        known = names.kinds()
        workplace.tell_interrupted()
        tables.emit(
            choices.format, {"protectable_type": list(known.values())},
            lambda: tables.table(("kind", "type"), known.items()),
        )  # fmt: skip
        return
    found = protectable(registry.protectables(), names.type_of(kind))
    cloud = workplace.connect()
    workplace.tell_interrupted(cloud.project_id)
    instances = [report.instance_document(resource) for resource in found.all(Inventory(cloud))]
    tables.emit(
        choices.format, {"instances": instances},
        lambda: tables.listing(("id", "name"), instances),
    )  # fmt: skip


@protectable.command(
    cls=Command,
    epilog="\b\nExample:\n  karbor protectable show --cloud prod server/web\n",
    short_help="Show a resource and what it needs.",
)
@click.argument("thing", metavar="KIND/NAME_OR_ID")
@common
@click.pass_obj
def show(choices: Choices, thing: str) -> None:
    """Show a resource with what it needs directly, that is: what is protected with it."""
    from karbor.cli import tables
    from karbor.engine import report
    from karbor.engine.discover import discover, find
    from karbor.plugins import registry

    workplace = Workplace(choices)
    (wanted,) = names.things([thing])
    cloud = workplace.connect()
    workplace.tell_interrupted(cloud.project_id)
    known = registry.protectables()
    resource = find(known, cloud, wanted.type, wanted.text or cloud.project_id)
    graph = discover(known, cloud, [resource.ref])
    if resource.ref not in graph:
        raise NotFound(f"{resource} disappeared while it was looked at")
    document = report.instance_document(resource, (graph.resources[ref] for ref in graph.children[resource.ref]))

    def show() -> None:
        tables.facts((name, document[name]) for name in ("type", "name", "id"))
        tables.table(
            ("needs", "name", "id"),
            ((item["type"], item["name"], item["id"]) for item in document["dependent_resources"]),
        )

    tables.emit(choices.format, {"instance": document}, show)
