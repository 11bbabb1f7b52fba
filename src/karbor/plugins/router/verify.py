"""Checks that a router could be made again from what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator

from karbor.plugins.router.facts import RouterFacts
from karbor.plugins.surroundings import VerifyFacts, lacking


class VerifyRouter(VerifyFacts):
    """Verify of a router."""

    Saved = RouterFacts

    def missing(self, facts: RouterFacts) -> Iterator[str]:
        for interface in facts.interfaces:
            yield from lacking("interface", interface, ("id", "network_id", "mac_address", "fixed_ips", "cidrs"))
        for route in facts.routes:
            yield from lacking("a route", route, ("destination", "nexthop"))
        if facts.gateway is not None:
            yield from lacking("the gateway", facts.gateway, ("network_id",))
