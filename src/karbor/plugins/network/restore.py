"""Makes a network and its subnets again, or uses them where they still exist."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from karbor.cloud.connection import Cloud
from karbor.cloud.kind import Object
from karbor.cloud.networks import NETWORK, SUBNET
from karbor.model.resource import Ref
from karbor.plugins.base import Context, Operation
from karbor.plugins.network.allowed import make_as_allowed
from karbor.plugins.network.facts import (
    OPTIONAL_OF_NETWORK,
    OPTIONAL_OF_SUBNET,
    Facts,
    NetworkFacts,
    network_body,
    subnet_body,
)
from karbor.plugins.network.qos import policy_here
from karbor.plugins.network.tags import restore_tags
from karbor.plugins.options import option
from karbor.plugins.surroundings import stands


@dataclass(frozen=True)
class NetworkRestoreOptions:
    """How a network is restored."""

    restore_name: str | None = option(
        None, title="Name", description="Name of the restored network; the saved name where it is left empty."
    )


class RestoreNetwork(Operation):
    """Restore of a network. Everything is there after `on_main`, since routers and servers plug into it."""

    Options = NetworkRestoreOptions
    Saved = NetworkFacts

    def on_main(self, ctx: Context) -> None:
        facts: NetworkFacts = ctx.saved
        if stands(ctx, NETWORK, partial(lost_subnets, facts)):
            ctx.use(NETWORK, ctx.resource.ref, ctx.resource.id)
            for subnet in facts.subnets:
                ctx.use(SUBNET, Ref(SUBNET.type, subnet["id"]), subnet["id"])
            return
        body = network_body(facts, ctx.options.restore_name or facts.name, policy_here(ctx, facts.qos_policy))
        network = make_as_allowed(ctx, NETWORK, ctx.resource.ref, body, OPTIONAL_OF_NETWORK)
        restore_tags(ctx, NETWORK, ctx.resource.id, network, facts.tags)
        if facts.shared:
            ctx.note("shared", "cannot", "only an administrator may share a network with other projects")
        for subnet in facts.subnets:
            _restore_subnet(ctx, subnet, network)


def _restore_subnet(ctx: Context, subnet: Facts, network: str) -> None:
    label, old = f"subnet {subnet['cidr']}", Ref(SUBNET.type, subnet["id"])
    id = make_as_allowed(ctx, SUBNET, old, subnet_body(subnet, network), OPTIONAL_OF_SUBNET, label)
    restore_tags(ctx, SUBNET, subnet["id"], id, subnet.get("tags") or ())
    ctx.note(label, "same")
    if subnet.get("subnetpool_id"):
        ctx.note(
            f"{label}: subnetpool_id", "mapped", "it keeps its addresses, but is no part of a subnet pool any more"
        )
    if subnet.get("segment_id"):
        ctx.note(f"{label}: segment_id", "cannot", "segments are an administrator's")


def lost_subnets(facts: NetworkFacts, _cloud: Cloud, living: Object) -> str:
    """Why a living network cannot serve: subnets that servers had addresses in are gone."""
    lost = [subnet["cidr"] for subnet in facts.subnets if subnet["id"] not in living["subnets"]]
    return f"has lost its subnet {', '.join(lost)}" if lost else ""
