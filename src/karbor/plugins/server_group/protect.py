"""Keeps what a server group is made of."""

from __future__ import annotations

from karbor.cloud.servers import SERVER_GROUP
from karbor.plugins.base import Context, Operation
from karbor.plugins.server_group.facts import ServerGroupFacts, server_group_facts
from karbor.plugins.surroundings import read


class ProtectServerGroup(Operation):
    """Protect of a server group: facts for the manifest."""

    Saved = ServerGroupFacts

    def on_main(self, ctx: Context) -> None:
        ctx.keep(**server_group_facts(read(ctx, SERVER_GROUP)))
