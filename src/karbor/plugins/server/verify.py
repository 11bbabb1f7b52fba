"""Proves that a server's own disk lies whole in the bank, and that the checkpoint holds all of its volumes."""

from __future__ import annotations

from karbor.model.errors import KarborError
from karbor.plugins.base import Context, Operation
from karbor.plugins.image.data import verify_data
from karbor.plugins.server.disk import ARTIFACT
from karbor.plugins.server.facts import ServerFacts
from karbor.plugins.server.latecomers import volumes_of


class VerifyServer(Operation):
    """Reads and hashes every byte of the own disk.

    Raises BankCorrupt naming what is missing or changed, KarborError naming volumes without which it cannot come back.
    """

    Saved = ServerFacts

    def on_main(self, ctx: Context) -> None:
        held = {child.ref for child in ctx.children}
        missing = [str(ref) for ref in volumes_of(ctx.saved.volumes) if ref not in held]
        if missing:
            raise KarborError(f"{ctx.resource}: the checkpoint does not hold {', '.join(missing)}; protect it again")
        if ctx.saved.image:
            verify_data(ctx, ARTIFACT, ctx.saved.disk["data"])
        else:
            ctx.note("data", "same", "facts: it boots from a volume, and a server has no other bytes of its own")
