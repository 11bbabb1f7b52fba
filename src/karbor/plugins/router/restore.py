"""Makes a router again, or uses the living one and only plugs it into what else this restore makes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from karbor.cloud.connection import Cloud
from karbor.cloud.kind import Object
from karbor.cloud.networks import NETWORK, ROUTER, ROUTER_INTERFACE, SUBNET
from karbor.model.errors import Refused
from karbor.model.resource import Ref
from karbor.plugins.base import Context, Operation
from karbor.plugins.network.allowed import make_as_allowed
from karbor.plugins.network.external import check_routers, external_network
from karbor.plugins.network.tags import restore_tags
from karbor.plugins.options import option
from karbor.plugins.router.facts import (
    OPTIONAL_OF_INTERFACE,
    OPTIONAL_OF_ROUTER,
    Facts,
    RouterFacts,
    addresses,
    interface_body,
    overlapping,
    router_body,
    routes_through,
)
from karbor.plugins.surroundings import stands


@dataclass(frozen=True)
class RouterRestoreOptions:
    """How a router is restored."""

    restore_name: str | None = option(
        None, title="Name", description="Name of the restored router; the saved name where it is left empty."
    )
    public_network_id: str | None = option(
        None,
        title="External network",
        description="Id of the external network to connect it to, instead of the one that it was connected to.",
    )


@dataclass(frozen=True)
class Link:
    """An interface with the network and subnets that its own have become."""

    interface: Facts
    network: str
    subnets: dict[str, str]

    @property
    def is_new(self) -> bool:
        """Whether this restore makes its network."""
        return self.network != str(self.interface["network_id"])

    @property
    def cidrs(self) -> Iterable[str]:
        cidrs: dict[str, str] = self.interface["cidrs"]
        return cidrs.values()


class RestoreRouter(Operation):
    """Restore of a router, all in `on_complete`: which networks are made decides whether the living one will do."""

    Options = RouterRestoreOptions
    Saved = RouterFacts

    def on_complete(self, ctx: Context) -> None:
        facts: RouterFacts = ctx.saved
        links = _links(ctx, facts)
        new_cidrs = [cidr for link in links if link.is_new for cidr in link.cidrs]
        if stands(ctx, ROUTER, partial(overlap, new_cidrs)):
            router = ctx.resource.id
            ctx.use(ROUTER, ctx.resource.ref, router)
            links = [link for link in links if link.is_new]
            routes = routes_through(facts.routes, new_cidrs)
        else:
            check_routers(ctx.cloud)
            router = _make_router(ctx, facts)
            _note_left_out(ctx, facts, links)
            routes = facts.routes
        for link in links:
            _plug_in(ctx, router, link)
        for route in routes:
            _add_route(ctx, router, route)


def _links(ctx: Context, facts: RouterFacts) -> list[Link]:
    """The interfaces to networks that the checkpoint holds."""
    saved = {child.id for child in ctx.children if child.type == NETWORK.type}
    return [
        Link(
            interface,
            ctx.new(Ref(NETWORK.type, interface["network_id"])),
            {id: ctx.new(Ref(SUBNET.type, id)) for id in interface["cidrs"]},
        )
        for interface in facts.interfaces
        if interface["network_id"] in saved
    ]


def overlap(cidrs: Sequence[str], cloud: Cloud, living: Object) -> str:
    """Why a living router cannot serve: one of `cidrs`, which it is to be plugged into, overlaps with what it has."""
    if not cidrs:
        return ""
    ids = {fixed["subnet_id"] for port in _ports(cloud, device_id=living["id"]) for fixed in port["fixed_ips"]}
    there = [subnet["cidr"] for id in sorted(ids) if (subnet := SUBNET.get(cloud, id))]
    found = overlapping(cidrs, there)
    return f"is plugged into a subnet that overlaps with the restored {found}" if found else ""


def _ports(cloud: Cloud, **attributes: str) -> list[Object]:
    """All visible ports with these attributes, those of other projects on the project's networks too."""
    ports = cloud.pages("network", "/ports", "ports", params=attributes)
    return [port for port in ports if all(port[name] == value for name, value in attributes.items())]


def _make_router(ctx: Context, facts: RouterFacts) -> str:
    body = router_body(facts, ctx.options.restore_name or facts.name, _external_network(ctx, facts.gateway))
    router = make_as_allowed(ctx, ROUTER, ctx.resource.ref, body, OPTIONAL_OF_ROUTER)
    restore_tags(ctx, ROUTER, ctx.resource.id, router, facts.tags)
    return router


def _external_network(ctx: Context, gateway: Facts | None) -> str | None:
    """The network that the gateway goes to; with notes on what an administrator alone could set."""
    if gateway is None:
        return None
    wanted = ctx.options.public_network_id
    id, name = (wanted, "") if wanted else (gateway["network_id"], gateway["network_name"])
    found: str = ctx.choose("external network", partial(external_network, id, name))
    if found == gateway["network_id"]:
        ctx.note("external network", "same")
    else:
        ctx.note("external network", "mapped", f"{gateway['network_name'] or gateway['network_id']} became {found}")
    if gateway["addresses"]:
        ctx.note("external address", "mapped", f"was {', '.join(gateway['addresses'])}; the cloud draws another one")
    if not gateway["enable_snat"]:
        ctx.note("enable_snat", "cannot", "it was off, and only an administrator may turn it off; here it is on")
    return found


def _note_left_out(ctx: Context, facts: RouterFacts, links: list[Link]) -> None:
    restored = {link.interface["id"] for link in links}
    for interface in facts.interfaces:
        if interface["id"] not in restored:
            why = f"network {interface['network_id']} is not in this checkpoint, or not restored with it"
            ctx.note(_label(interface), "cannot", why)


def _plug_in(ctx: Context, router: str, link: Link) -> None:
    interface = link.interface
    label, old = _label(interface), Ref(ROUTER_INTERFACE.type, interface["id"])
    taken: list[str] = [] if link.is_new else ctx.choose(f"taken of {label}", partial(in_use, interface))
    body = interface_body(interface, router, link.network, link.subnets, taken)
    port = make_as_allowed(ctx, ROUTER_INTERFACE, old, body, OPTIONAL_OF_INTERFACE, label)
    ctx.act(
        f"plug in {label}",
        partial(ROUTER.add_interface, id=router, port_id=port),
        partial(ROUTER.has_interface, id=router, port_id=port),
    )
    restore_tags(ctx, ROUTER_INTERFACE, interface["id"], port, interface.get("tags") or ())
    if taken:
        ctx.note(label, "mapped", f"others hold {', '.join(taken)} by now; the cloud chooses instead")
    else:
        ctx.note(label, "same")


def _label(interface: Facts) -> str:
    """How people know an interface: by its addresses."""
    return f"interface {', '.join(addresses(interface))}"


def in_use(interface: Facts, cloud: Cloud) -> list[str]:
    """Which of the interface's addresses and MAC are held by living ports of its network."""
    ports = _ports(cloud, network_id=interface["network_id"])
    held = {fixed["ip_address"] for port in ports for fixed in port["fixed_ips"]}
    held.update(port["mac_address"] for port in ports)
    return [each for each in (*addresses(interface), interface["mac_address"]) if each in held]


def _add_route(ctx: Context, router: str, route: dict[str, str]) -> None:
    """Add a route; one whose next hop the restored router does not reach is left out, and nothing else needs it."""
    label = f"route {route['destination']} via {route['nexthop']}"
    try:
        ctx.act(
            f"add {label}",
            partial(ROUTER.add_routes, id=router, routes=[route]),
            partial(ROUTER.has_routes, id=router, routes=[route]),
            undo=partial(ROUTER.remove_routes, id=router, routes=[route]),
        )
    except Refused as error:
        ctx.note(label, "cannot", str(error))
    else:
        ctx.note(label, "same")
