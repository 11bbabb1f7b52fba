"""Says what a project has and no checkpoint of it holds: ports and floating IPs of no server."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from karbor.cloud.kind import Object
from karbor.cloud.networks import FLOATING_IP, PORT
from karbor.cloud.servers import SERVER
from karbor.model.resource import Ref
from karbor.plugins.base import Context, Operation

NEUTRONS_OWN = "network:"
"""How the `device_owner` of ports of routers, DHCP and the like begins: these come back with what they belong to."""


class ProtectProject(Operation):
    """Protect of a project, whose resources save themselves: it tells what belongs to none of them."""

    def on_prepare_begin(self, ctx: Context) -> None:
        saved = {child.ref for child in ctx.children}
        for attribute, why in left_out(saved, PORT.list(ctx.cloud), FLOATING_IP.list(ctx.cloud)):
            ctx.not_kept(attribute, why)


def left_out(
    saved: Collection[Ref], ports: Iterable[Object], floating_ips: Iterable[Object]
) -> Iterator[tuple[str, str]]:
    """Which of the project's ports and floating IPs none of the `saved` resources brings back, and why not."""
    of_servers = set()
    for port in ports:
        if Ref(SERVER.type, port["device_id"]) in saved:
            of_servers.add(port["id"])
        elif Ref(PORT.type, port["id"]) not in saved and not port["device_owner"].startswith(NEUTRONS_OWN):
            addresses = ", ".join(each["ip_address"] for each in port["fixed_ips"]) or port["mac_address"]
            owner = f"{port['device_owner']} {port['device_id']}".strip()
            whose = f"belongs to {owner}, which is no server of this checkpoint" if owner else "belongs to no server"
            yield f"port {port['id']}", f"{port['name'] or 'the one'} at {addresses} {whose}"
    for each in floating_ips:
        if each["port_id"] not in of_servers and Ref(FLOATING_IP.type, each["id"]) not in saved:
            where = f"port {each['port_id']}, which belongs to no server" if each["port_id"] else "nothing"
            yield f"floating IP {each['floating_ip_address']}", f"it points to {where}"
