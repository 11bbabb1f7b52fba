"""Proves that a server's own disk lies whole in the bank."""

from __future__ import annotations

from karbor.plugins.base import Context, Operation
from karbor.plugins.image.data import verify_data
from karbor.plugins.server.disk import ARTIFACT
from karbor.plugins.server.facts import ServerFacts


class VerifyServer(Operation):
    """Reads and hashes every byte of the own disk. Raises BankCorrupt naming what is missing or changed."""

    Saved = ServerFacts

    def on_main(self, ctx: Context) -> None:
        if ctx.saved.image:
            verify_data(ctx, ARTIFACT, ctx.saved.disk["data"])
        else:
            ctx.note("data", "same", "facts: it boots from a volume, and a server has no other bytes of its own")
