"""`karbor restore`: brings a checkpoint back, or says what that would do."""

from __future__ import annotations

from typing import Any

import click

from karbor.cli import names
from karbor.cli.choices import Choices, Command, common, no_wait, options_of_plugins
from karbor.cli.completion import checkpoint_ids
from karbor.cli.workplace import Workplace

EXAMPLES = """\b
Examples:
  karbor restore --cloud prod CHECKPOINT --dry-run
  karbor restore --cloud prod CHECKPOINT
  karbor restore --cloud prod CHECKPOINT --resource server/web --on-failure keep
  karbor restore --cloud other-cloud CHECKPOINT --surroundings new
  karbor restore --cloud prod CHECKPOINT --option server.restore_name=web-again
"""


@click.command(cls=Command, epilog=EXAMPLES, short_help="Bring a checkpoint back.")
@click.argument("checkpoint", shell_complete=checkpoint_ids)
@click.option(
    "--resource", "resources", metavar="KIND/NAME", multiple=True,
    help="Restore only this resource of the checkpoint, with what it needs; may be repeated.",
)  # fmt: skip
@click.option(
    "--surroundings", type=click.Choice(["auto", "existing", "new"]), default="auto", show_default=True,
    help="Networks, routers, groups and keys that only came along: use those that are still there and make the others, "
    "make none, or make all.",
)  # fmt: skip
@click.option(
    "--on-failure", type=click.Choice(["rollback", "keep"]), default="rollback", show_default=True,
    help="Remove what was made, or keep it until `karbor operation resume` or `rollback`.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be done and change nothing; status 1 if it cannot be.")
@options_of_plugins
@no_wait
@common
@click.pass_obj
def restore(
    choices: Choices, checkpoint: str, resources: tuple[str, ...], surroundings: str, on_failure: str,
    options: tuple[str, ...], dry_run: bool, no_wait: bool,
) -> int:  # fmt: skip
    """Bring CHECKPOINT back into a cloud: the one that it comes from, or another.

    Everything that is restored is new and lies beside the old. When the restore is over it says what it made, under
    which ids and addresses, what is not as it was, and the command that undoes it. The exit status is 3 when a failed
    restore keeps what it made.
    """
    from karbor.cli import results
    from karbor.store import checkpoints

    workplace = Workplace(choices)
    wanted = names.things(resources)
    parameters = names.parameters(options)
    row = checkpoints.get(workplace.database, checkpoint)
    whole = names.checkpoint(row)
    request: dict[str, Any] = {
        "resources": [whole.one(thing) for thing in wanted],
        "parameters": names.addressed(parameters, whole),
        "surroundings": surroundings,
    }
    cloud = workplace.connect()
    workplace.tell_interrupted(cloud.project_id)
    engine = workplace.engine
    if dry_run:
        return results.tell_outline(workplace, checkpoint, *engine.outline(cloud, checkpoint, **request))
    id = engine.start_restore(cloud, checkpoint, on_failure=on_failure, **request)
    return results.carry_out(workplace, cloud, id, wait=not no_wait)
