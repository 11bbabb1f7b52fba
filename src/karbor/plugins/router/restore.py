"""Makes a router again, or uses the living one, which gets what it lacks of its gateway and interfaces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from karbor.cloud.connection import Cloud
from karbor.cloud.kind import Object
from karbor.cloud.networks import INTERFACE_OWNERS, NETWORK, ROUTER, ROUTER_INTERFACE, SUBNET
from karbor.model.errors import Blocked, Refused
from karbor.model.resource import Ref
from karbor.plugins.base import Context, Operation
from karbor.plugins.network.allowed import make_as_allowed
from karbor.plugins.network.external import WAY_OUT, check_routers, external_network
from karbor.plugins.network.tags import restore_tags
from karbor.plugins.options import option
from karbor.plugins.router.facts import (
    OPTIONAL_OF_INTERFACE,
    OPTIONAL_OF_ROUTER,
    Facts,
    RouterFacts,
    addresses,
    gateway_facts,
    gateway_in_words,
    interface_body,
    interface_facts,
    overlapping,
    route_in_words,
    router_body,
    router_facts,
    routes_through,
    told_of_router,
)
from karbor.plugins.surroundings import Told, note_changes, stands


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


LACKS, HAS = "lacks", "has"
"""How a living router stands to an interface that was saved of it; any other word is why it is to stay without."""


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
            external = _living_gateway(ctx, facts.gateway)
            states = [(link, _state(ctx, link)) for link in links]
            led = [link for link, state in states if state in (LACKS, HAS)]
            links = [link for link, state in states if state == LACKS]
            routes = routes_through(facts.routes, [cidr for link in links for cidr in link.cidrs])
            _note_changes(ctx, facts, [link for link, state in states if state != HAS], routes)
        else:
            check_routers(ctx.cloud)
            external = _external_network(ctx, facts.gateway) if facts.gateway else None
            router = _make_router(ctx, facts, external)
            _note_left_out(ctx, facts, links)
            led, routes = links, facts.routes
        subnets = [id for link in led for id in link.subnets]
        ctx.choose(WAY_OUT, lambda _cloud: {"network": external, "subnets": subnets})
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


def _living_gateway(ctx: Context, saved: Facts | None) -> str | None:
    """The external network of a living router; a gateway that was cleared is set again, where it can be."""
    living: str | None = ctx.choose("gateway", partial(gateway_network, ctx.resource.id))
    if living or saved is None:
        return living
    try:
        external = _external_network(ctx, saved)
    except Blocked as error:
        ctx.note("gateway", "cannot", f"it had been cleared, and cannot be set again: {error}")
        return None
    ctx.act(
        "set gateway",
        partial(ROUTER.set_gateway, id=ctx.resource.id, network_id=external),
        partial(ROUTER.has_gateway, id=ctx.resource.id, network_id=external),
        undo=partial(ROUTER.clear_gateway, id=ctx.resource.id),
    )
    ctx.note("gateway", "same", "it had been cleared, and is set again")
    return external


def _note_changes(ctx: Context, facts: RouterFacts, unplugged: list[Link], routes: list[dict[str, str]]) -> None:
    """Say what else is not as it was: `unplugged`, `routes` and a cleared gateway come back, or it is said why not."""
    again = [address for link in unplugged for address in addresses(link.interface)]
    again += [route_in_words(route) for route in routes]
    if not ctx.choose("gateway", partial(gateway_network, ctx.resource.id)):
        again += gateway_in_words(facts.gateway)
    note_changes(ctx, told_of_router(facts), partial(_now, ctx.resource.id), again)


def _now(id: str, cloud: Cloud) -> Told:
    router = ROUTER.seen(cloud, id)
    ports = [port for port in _ports(cloud, device_id=id) if port["device_owner"].startswith(INTERFACE_OWNERS)]
    interfaces = [interface_facts(port, {}) for port in ports if ROUTER_INTERFACE.owned(cloud, port)]
    info = router.get("external_gateway_info")
    return told_of_router(RouterFacts(**router_facts(router, interfaces, gateway_facts(info, "") if info else None)))


def gateway_network(router: str, cloud: Cloud) -> str | None:
    """The external network that the router's gateway is on."""
    id: str | None = (ROUTER.seen(cloud, router).get("external_gateway_info") or {}).get("network_id")
    return id


def _state(ctx: Context, link: Link) -> str:
    """What there is of a link of a living router: LACKS, HAS, or why it cannot be plugged in."""
    if link.is_new:
        return LACKS
    label = _label(link.interface)
    state: str = ctx.choose(f"state of {label}", partial(look_at_interface, link.interface, ctx.resource.id))
    if state == LACKS:
        ctx.note(f"connection of {label}", "same", "it had been unplugged, and is plugged in again")
    elif state != HAS:
        ctx.note(label, "cannot", state)
    return state


def look_at_interface(interface: Facts, router: str, cloud: Cloud) -> str:
    """LACKS or HAS, whichever is true of the living router; else why the interface is not plugged in again."""
    subnets = set(interface["cidrs"])
    own = subnets & _reached(_ports(cloud, device_id=router))
    if own == subnets:
        return HAS
    if own:
        return "the router has an interface in a part of its subnets by now, and is left as it is"
    ports = _ports(cloud, network_id=interface["network_id"])
    beside = {port["device_id"] for port in ports if subnets & _reached([port])}
    others = sorted(beside.difference(interface.get("beside", ())))
    if others:
        return f"another router ({', '.join(others)}) is plugged into its subnet by now, and both are left as they are"
    why_not = overlap(list(interface["cidrs"].values()), cloud, {"id": router})
    return f"it is not plugged in again, because the router {why_not}" if why_not else LACKS


def _reached(ports: Iterable[Object]) -> set[str]:
    """The subnets that routers reach by those of the ports that are interfaces."""
    interfaces = (port for port in ports if port["device_owner"].startswith(INTERFACE_OWNERS))
    return {fixed["subnet_id"] for port in interfaces for fixed in port["fixed_ips"]}


def _make_router(ctx: Context, facts: RouterFacts, external: str | None) -> str:
    body = router_body(facts, ctx.options.restore_name or facts.name)
    router = make_as_allowed(ctx, ROUTER, ctx.resource.ref, body, OPTIONAL_OF_ROUTER)
    if external:
        ctx.act(
            "set gateway",
            partial(ROUTER.set_gateway, id=router, network_id=external, description=facts.description),
            partial(ROUTER.has_gateway, id=router, network_id=external),
        )
    restore_tags(ctx, ROUTER, ctx.resource.id, router, facts.tags)
    return router


def _external_network(ctx: Context, gateway: Facts) -> str:
    """The network that the gateway goes to; with notes on what an administrator alone could set."""
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
