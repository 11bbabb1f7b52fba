"""Checks that a server group could be made again from what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator

from karbor.plugins.server_group.facts import ServerGroupFacts
from karbor.plugins.surroundings import VerifyFacts, lacking


class VerifyServerGroup(VerifyFacts):
    """Verify of a server group."""

    Saved = ServerGroupFacts

    def missing(self, facts: ServerGroupFacts) -> Iterator[str]:
        return lacking("the server group", vars(facts), ("name", "policy"))
