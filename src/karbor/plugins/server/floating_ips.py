"""Brings a server's floating IPs back: those that are still the project's and point to nothing are used."""

from __future__ import annotations

from functools import partial

from karbor.cloud.connection import Cloud
from karbor.cloud.kind import Step
from karbor.cloud.networks import FLOATING_IP, INTERFACE_OWNERS, PORT, ROUTER
from karbor.model.errors import Blocked, KarborError
from karbor.model.resource import Ref
from karbor.plugins.base import Context
from karbor.plugins.network.external import WAY_OUT, check_routers, external_network
from karbor.plugins.network.tags import restore_tags
from karbor.plugins.server.addresses import led_to, living_addresses
from karbor.plugins.server.bodies import floating_ip_body
from karbor.plugins.server.facts import Facts
from karbor.plugins.server.ports import RestoredPort


def restore_floating_ips(ctx: Context, ports: list[RestoredPort]) -> None:
    """Point each saved floating IP, or a new one in its place, to what its port became. Raises Blocked."""
    if ctx.saved.floating_ips:
        for child in ctx.children:
            if child.type == ROUTER.type:
                ctx.new(child.ref)  # before there is a way out, Neutron refuses
        check_routers(ctx.cloud)
    by_id = {port.saved["id"]: port for port in ports}
    for saved in ctx.saved.floating_ips:
        _restore(ctx, saved, by_id[saved["port_id"]])


def _restore(ctx: Context, saved: Facts, port: RestoredPort) -> None:
    label, ref = f"floating IP {saved['address']}", Ref(FLOATING_IP.type, saved["id"])
    rivals = _rivals(ctx, saved)
    address = led_to(rivals, port.saved, port.addresses).get(saved["id"])
    if address is None:
        left = "others lead to all IPv4 addresses of its port" if port.addresses else "its port has no IPv4 address"
        ctx.note(label, "cannot", left)
        return
    asked = ctx.options.public_network_id
    look = partial(external_network, *((asked, "") if asked else (saved["network_id"], saved["network_name"])))
    external = ctx.choose(f"external network {saved['network_id']}", look)
    if not _leads_out(ctx, address.subnet, port, external):
        if not port.place.other:
            raise Blocked(_no_way(ctx, saved, address.subnet, port, external))
        ctx.note(label, "cannot", "no router leads from the network that was asked for to its external network")
        return
    used_port = port.id if port.id == port.saved["id"] else None
    usable = ctx.surroundings != "new" and external == saved["network_id"]
    used = usable and ctx.choose(label, partial(is_waiting, saved, used_port))
    if used:
        id = saved["id"]
        ctx.use(FLOATING_IP, ref, id)
        ctx.note(label, "same", "it still exists and is used")
    else:
        ctx.note(label, "mapped", "it is gone or in use; a member cannot choose the address of a new one")
        id = ctx.make(FLOATING_IP, ref, floating_ip_body(saved, external))
        restore_tags(ctx, FLOATING_IP, saved["id"], id, saved["tags"])

    def associated(cloud: Cloud) -> bool | Step:
        found = FLOATING_IP.seen(cloud, id)
        if not used:  # only now can its address be told
            ctx.note(label, "mapped", f"it became {found['floating_ip_address']}")
        return bool(found["port_id"] == port.id)

    ctx.act(
        f"associate {label}",
        partial(_associate, id, port, address.ip, saved, rivals, {} if used else {"description": saved["description"]}),
        associated,
        undo=partial(FLOATING_IP.dissociate, id=id, port_id=port.id) if used else None,
    )


def _rivals(ctx: Context, saved: Facts) -> list[Facts]:
    """The floating IPs, itself among them, of which Neutron lets only one lead to each address of its port."""
    return [
        each
        for each in ctx.saved.floating_ips
        if each["port_id"] == saved["port_id"]
        and (ctx.options.public_network_id or each["network_id"] == saved["network_id"])
    ]


def is_waiting(saved: Facts, port: str | None, cloud: Cloud) -> bool:
    """Whether it is still the project's and points to nothing, or to `port`, which this restore uses."""
    living = FLOATING_IP.get(cloud, saved["id"])
    if not living or not FLOATING_IP.owned(cloud, living) or living.get("port_forwardings"):
        return False
    return living["port_id"] in (None, port)


def _leads_out(ctx: Context, subnet: str | None, port: RestoredPort, external: str) -> bool:
    """Whether a router leads from the port's saved `subnet` to the external network, or will after this restore."""
    place = port.place
    if any(way["network"] == external and subnet in way["subnets"] for way in _ways_out(ctx).values()):
        return True
    if place.empty or place.network == external:
        return False
    living = place.subnets.get(subnet) if subnet else None
    look = partial(has_way, place.network, living, place.own, external)
    return bool(ctx.choose(f"way from {living or place.network} to {external}", look))


def _ways_out(ctx: Context) -> dict[str, Facts]:
    """Where each router that this restore uses or makes is going to lead."""
    routers = [child for child in ctx.children if child.type == ROUTER.type]
    return {str(router): way for router in routers if (way := ctx.chosen(router.ref, WAY_OUT))}


def has_way(network: str, subnet: str | None, own: bool, external: str, cloud: Cloud) -> bool:
    """Whether a router joins the subnet, or any of the network, with the external network.

    What nobody can see is believed: the routers on another project's network, and another project's routers.
    """
    if not own:
        return True
    found = cloud.pages("network", "/ports", "ports", params={"network_id": network})
    routers = [
        ROUTER.get(cloud, port["device_id"])
        for port in found
        if port["device_owner"].startswith(INTERFACE_OWNERS)
        and (subnet is None or subnet in [each["subnet_id"] for each in port["fixed_ips"]])
    ]
    gateways = [router and (router["external_gateway_info"] or {}).get("network_id") for router in routers]
    return None in routers or external in gateways


def _no_way(ctx: Context, saved: Facts, subnet: str | None, port: RestoredPort, external: str) -> str:
    """Why a floating IP cannot be restored, and what to do."""
    ways = _ways_out(ctx)
    cidrs = {each["id"]: each["cidr"] for network in ctx.saved.networks for each in network["subnets"]}
    where = f"subnet {cidrs[subnet]} ({subnet})" if subnet else f"network {port.saved['network_id']}"
    name = f"{saved['network_name']} " if external == saved["network_id"] else ""
    known = [
        f"; {router} leads to {way['network'] or 'no external network'}"
        f"{'' if subnet in way['subnets'] else ', but not from there'}"
        for router, way in ways.items()
    ]
    way_out = [] if port.place.empty else ["plug a router that leads there into it"]
    if ways and ctx.surroundings != "new":
        way_out.append("restore with surroundings `new`")
    way_out.append("name another network with the option restore_net_id")
    return (
        f"floating IP {saved['address']} cannot lead to {saved['fixed_ip']} in cloud {ctx.cloud.name!r}: no router "
        f"leads from {where} to external network {name}({external}){''.join(known)}; {', or '.join(way_out)}"
    )


def _associate(
    id: str, port: RestoredPort, ip: str | None, saved: Facts, rivals: list[Facts], attributes: Facts, cloud: Cloud
) -> None:
    """Point it to the address `ip` of the port; where the network has chosen it, to that which is left for it."""
    if ip is None:
        there = living_addresses(PORT.seen(cloud, port.id)["fixed_ips"], port.place)
        address = led_to(rivals, port.saved, there).get(saved["id"])
        if address is None:
            raise KarborError(f"port {port.id} of cloud {cloud.name!r} has no IPv4 address left for floating IP {id}")
        ip = address.ip
    FLOATING_IP.associate(cloud, id=id, port_id=port.id, fixed_ip_address=ip, **attributes)
