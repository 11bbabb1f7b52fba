"""`karbor protect`: saves an application as a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from karbor.cli import names
from karbor.cli.choices import Choices, Command, common, no_wait, options_of_plugins
from karbor.cli.workplace import Workplace

if TYPE_CHECKING:
    from karbor.cloud.connection import Cloud
    from karbor.model.resource import Ref

EXAMPLES = """\b
Examples:
  karbor protect --cloud prod server/web server/db
  karbor protect --cloud prod project
  karbor protect --cloud prod --no-wait --name nightly server/web
  karbor protect --cloud prod --option volume.backup_mode=full volume/data
"""


@click.command(cls=Command, epilog=EXAMPLES, short_help="Save an application as a checkpoint.")
@click.argument("things", metavar="KIND/NAME_OR_ID...", nargs=-1, required=True)
@click.option("--name", default="", help="What the checkpoint is called.  [default: the names of what is protected]")
@click.option("--provider", metavar="NAME", help="The provider, by name or id, that keeps it.")
@options_of_plugins
@no_wait
@common
@click.pass_obj
def protect(
    choices: Choices, things: tuple[str, ...], name: str, provider: str | None, options: tuple[str, ...], no_wait: bool
) -> int:
    """Save an application: the named servers, volumes, images or networks with all that they need.

    KIND is server, volume, image, network, project, router, security_group, keypair or server_group. Naming the
    servers is enough: their volumes, images and networks follow. `project` is everything in the cloud's project.
    The exit status is 3 when only a part could be saved.
    """
    from karbor.cli import results
    from karbor.engine.discover import discover
    from karbor.plugins import registry
    from karbor.providers import find_provider

    workplace = Workplace(choices)
    wanted = names.things(things)
    parameters = names.parameters(options)
    keeper = find_provider(workplace.providers, provider)
    cloud = workplace.connect()
    workplace.tell_interrupted(cloud.project_id)
    graph = discover(registry.protectables(), cloud, [_ref(cloud, thing) for thing in wanted])
    there = [{"type": each.type, "id": each.id, "name": each.name} for each in graph.resources.values()]
    parameters = names.addressed(parameters, names.Whole("the application", there))
    workplace.found()
    id = workplace.engine.start_protect(cloud, keeper, graph, name=name, parameters=parameters)
    return results.carry_out(workplace, cloud, id, wait=not no_wait)


def _ref(cloud: Cloud, thing: names.Thing) -> Ref:
    from karbor.engine.discover import find
    from karbor.model.resource import Ref
    from karbor.plugins import registry

    if not thing.text:
        return Ref(thing.type, cloud.project_id)
    return find(registry.protectables(), cloud, thing.type, thing.text).ref
