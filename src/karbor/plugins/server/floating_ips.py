"""Brings a server's floating IPs back: those that are still the project's and point to nothing are used."""

from __future__ import annotations

from functools import partial

from karbor.cloud.connection import Cloud
from karbor.cloud.kind import Step
from karbor.cloud.networks import FLOATING_IP, PORT, ROUTER
from karbor.model.errors import KarborError
from karbor.model.resource import Ref
from karbor.plugins.base import Context
from karbor.plugins.network.external import check_routers, external_network
from karbor.plugins.network.tags import restore_tags
from karbor.plugins.server.bodies import floating_ip_body
from karbor.plugins.server.facts import Facts
from karbor.plugins.server.ports import RestoredPort


def restore_floating_ips(ctx: Context, ports: list[RestoredPort]) -> None:
    """Point each saved floating IP, or a new one in its place, to what its port became. Raises Blocked."""
    if ctx.saved.floating_ips:
        check_routers(ctx.cloud)
    by_id = {port.saved["id"]: port for port in ports}
    for saved in ctx.saved.floating_ips:
        _restore(ctx, saved, by_id[saved["port_id"]])


def _restore(ctx: Context, saved: Facts, port: RestoredPort) -> None:
    label, ref = f"floating IP {saved['address']}", Ref(FLOATING_IP.type, saved["id"])
    asked = ctx.options.public_network_id
    look = partial(external_network, *((asked, "") if asked else (saved["network_id"], saved["network_name"])))
    external = ctx.choose(f"external network {saved['network_id']}", look)
    if port.place.other and not ctx.choose(
        f"way from {port.place.network} to {external}", partial(has_way, port.place.network, port.place.own, external)
    ):
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
        id = ctx.make(FLOATING_IP, ref, floating_ip_body(saved, external, port.id if port.kept else None))
        restore_tags(ctx, FLOATING_IP, saved["id"], id, saved["tags"])

    def associated(cloud: Cloud) -> bool | Step:
        state = FLOATING_IP.is_associated(cloud, id=id, port_id=port.id)
        if state is True and not used:  # only now can its address be told
            ctx.note(label, "mapped", f"it became {FLOATING_IP.seen(cloud, id)['floating_ip_address']}")
        return state

    fixed_ip = saved["fixed_ip"] if port.kept else None
    ctx.act(
        f"associate {label}",
        partial(_associate, id, port.id, fixed_ip),
        associated,
        undo=partial(FLOATING_IP.dissociate, id=id) if used else None,
    )


def is_waiting(saved: Facts, port: str | None, cloud: Cloud) -> bool:
    """Whether it is still the project's and points to nothing, or to `port`, which this restore uses."""
    living = FLOATING_IP.get(cloud, saved["id"])
    if not living or not FLOATING_IP.owned(cloud, living) or living.get("port_forwardings"):
        return False
    return living["port_id"] in (None, port)


def has_way(network: str, own: bool, external: str, cloud: Cloud) -> bool:
    """Whether a router joins the two; in another project's network nobody can see, so it is believed."""
    if not own:
        return True
    found = cloud.pages("network", "/ports", "ports", params={"network_id": network})
    routers = [ROUTER.get(cloud, port["device_id"]) for port in found if "router" in port["device_owner"]]
    gateways = [router["external_gateway_info"] for router in routers if router and router["external_gateway_info"]]
    return any(gateway["network_id"] == external for gateway in gateways)


def _associate(id: str, port: str, fixed_ip: str | None, cloud: Cloud) -> None:
    """Point it to the port's `fixed_ip`; where the port has new addresses, to the first that can have one."""
    if fixed_ip is None:
        there = [each["ip_address"] for each in PORT.seen(cloud, port)["fixed_ips"]]
        fixed_ip = next((address for address in there if ":" not in address), None)
        if fixed_ip is None:
            raise KarborError(f"port {port} of cloud {cloud.name!r} has no IPv4 address for floating IP {id}")
    FLOATING_IP.associate(cloud, id=id, port_id=port, fixed_ip_address=fixed_ip)
