"""Makes a server group again, or uses the living one."""

from __future__ import annotations

from karbor.cloud.servers import SERVER_GROUP
from karbor.plugins.base import Context, Operation
from karbor.plugins.server_group.facts import ServerGroupFacts, server_group_body
from karbor.plugins.surroundings import stands


class RestoreServerGroup(Operation):
    """Restore of a server group: it is there, and empty, before its servers are created into it."""

    Saved = ServerGroupFacts

    def on_main(self, ctx: Context) -> None:
        if stands(ctx, SERVER_GROUP):
            ctx.use(SERVER_GROUP, ctx.resource.ref, ctx.resource.id)
            return
        ctx.make(SERVER_GROUP, ctx.resource.ref, server_group_body(ctx.saved))
        ctx.note("policy", "same")
