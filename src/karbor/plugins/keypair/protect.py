"""Keeps what a key pair is made of."""

from __future__ import annotations

from karbor.cloud.servers import KEYPAIR
from karbor.plugins.base import Context, Operation
from karbor.plugins.keypair.facts import KeyPairFacts
from karbor.plugins.surroundings import facts_in, read


class ProtectKeyPair(Operation):
    """Protect of a key pair: facts for the manifest."""

    Saved = KeyPairFacts

    def on_main(self, ctx: Context) -> None:
        ctx.keep(**facts_in(KeyPairFacts, read(ctx, KEYPAIR)))
        ctx.not_kept("private key", "it is nowhere in the cloud")
