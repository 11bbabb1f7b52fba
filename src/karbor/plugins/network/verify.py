"""Checks that a network could be made again from what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator

from karbor.plugins.network.facts import NetworkFacts
from karbor.plugins.surroundings import VerifyFacts, lacking


class VerifyNetwork(VerifyFacts):
    """Verify of a network."""

    Saved = NetworkFacts

    def missing(self, facts: NetworkFacts) -> Iterator[str]:
        for subnet in facts.subnets:
            yield from lacking("subnet", subnet, ("id", "cidr", "ip_version", "allocation_pools"))
            if "gateway_ip" not in subnet:
                yield f"gateway_ip of subnet {subnet.get('id')}"
