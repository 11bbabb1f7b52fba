"""Makes a key pair again under the user who restores, or uses the one that holds the same key."""

from __future__ import annotations

from functools import partial
from typing import Any

from karbor.cloud.connection import Cloud
from karbor.cloud.servers import KEYPAIR
from karbor.plugins.base import Context, Operation
from karbor.plugins.keypair.facts import KeyPairFacts, key_pair_body, name_beside
from karbor.plugins.surroundings import check_may_be_made


class RestoreKeyPair(Operation):
    """Restore of a key pair. The same key under the same name is used in any case: it cannot be there twice."""

    Saved = KeyPairFacts

    def on_main(self, ctx: Context) -> None:
        facts: KeyPairFacts = ctx.saved
        found = ctx.choose("key pair", partial(find_place, facts))
        if found["is_there"]:
            ctx.use(KEYPAIR, ctx.resource.ref, found["name"])
        else:
            check_may_be_made(ctx, "is gone" if found["name"] == facts.name else "has another key by now")
            ctx.make(KEYPAIR, ctx.resource.ref, key_pair_body(facts, found["name"]))
        if found["name"] == facts.name:
            ctx.note("name", "same")
        else:
            ctx.note("name", "mapped", f"{found['name']}, because {facts.name} is another key here")


def find_place(facts: KeyPairFacts, cloud: Cloud) -> dict[str, Any]:
    """The `name` that the key has or is to have, and whether it `is_there` already."""
    for name in (facts.name, name_beside(facts)):
        living = KEYPAIR.get(cloud, name)
        if living is None or living["fingerprint"] == facts.fingerprint:
            return {"name": name, "is_there": living is not None}
    return {"name": name, "is_there": False}
