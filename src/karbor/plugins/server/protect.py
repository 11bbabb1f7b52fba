"""Saves a server: all its attributes, and the bytes of its own disk where it booted from an image."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.kind import Object
from karbor.cloud.networks import FLOATING_IP, NETWORK, PORT
from karbor.cloud.servers import SERVER
from karbor.model.errors import Gone, Invalid
from karbor.plugins.base import Context, Operation
from karbor.plugins.network.qos import saved_policy
from karbor.plugins.options import option
from karbor.plugins.server.disk import has_own_disk, keep_disk, take_snapshot
from karbor.plugins.server.facts import (
    Facts,
    ServerFacts,
    by_device,
    floating_ip_facts,
    floating_ip_losses,
    forwarded,
    losses,
    network_facts,
    port_facts,
    port_losses,
    server_facts,
    volume_facts,
)
from karbor.plugins.server.latecomers import latecomers

PROTECTABLE = frozenset({"ACTIVE", "SHUTOFF", "PAUSED"})
WAYS_OUT = {
    "SUSPENDED": "resume it first",
    "SHELVED": "unshelve it first",
    "SHELVED_OFFLOADED": "unshelve it first",
    "RESCUE": "unrescue it first",
    "ERROR": "reboot it hard first, or delete it where it has never run",
    "UNKNOWN": "its part of the cloud has to answer first",
    "VERIFY_RESIZE": "confirm or revert its resize first",
}
"""What a person can do about a server whose state does not let it be protected."""
FORWARDING = "expose-port-forwarding-in-fip"
LONGEST_USER_DATA = 65535
"""Characters of base64 that Nova takes."""
LONGEST_HINTS = 16384


@dataclass(frozen=True)
class ProtectOptions:
    """Options for protecting a server."""

    user_data: str | None = option(
        None,
        title="User data",
        description="The server's user data in base64, which no member can read from the cloud; kept as it is, "
        "readable to whoever reads the bank or the database",
        max_length=LONGEST_USER_DATA,
    )
    scheduler_hints: str | None = option(
        None,
        title="Scheduler hints",
        description="The server's scheduler hints as a JSON object, which no member can read from the cloud",
        max_length=LONGEST_HINTS,
    )


class ProtectServer(Operation):
    """Attributes first; a snapshot of the own disk once the children are prepared; its bytes while all others work."""

    Options = ProtectOptions
    Saved = ServerFacts

    def on_prepare_begin(self, ctx: Context) -> None:
        user_data, hints = given_user_data(ctx.options.user_data), given_hints(ctx.options.scheduler_hints)
        cloud = ctx.cloud.remembering()
        server = SERVER.get(cloud, ctx.resource.id)
        if server is None:
            raise Gone(f"{ctx.resource} is not in cloud {ctx.cloud.name!r} any more", 404)
        check_state(server)
        volumes = read_volumes(cloud, server)
        found: list[Object] = list(cloud.pages("network", "/ports", "ports", params={"device_id": server["id"]}))
        ports = read_ports(cloud, server, found)
        check_known(ctx, cloud, server, volumes, [port for port in found if PORT.owned(cloud, port)])
        ctx.keep(**server_facts(server, SERVER.flavor_id(cloud, id=ctx.resource.id)))
        ctx.keep(user_data=user_data, scheduler_hints=hints, volumes=volumes)
        ctx.keep(ports=ports, networks=list(read_networks(cloud, ports)))
        floating_ips = list(read_floating_ips(cloud, ports))
        ctx.keep(floating_ips=[_floating_ip(cloud, each) for each in floating_ips])
        lost = (
            *losses(server, user_data=user_data is not None, hints=bool(hints)),
            *port_losses(server.get("OS-EXT-SRV-ATTR:hostname") or "", found),
            *floating_ip_losses(floating_ips),
            *forwarded(read_forwarding(cloud), ports),
        )
        for attribute, why in lost:
            ctx.not_kept(attribute, why)

    def on_prepare_finish(self, ctx: Context) -> None:
        if ctx.failed is None and has_own_disk(ctx):
            take_snapshot(ctx)

    def on_main(self, ctx: Context) -> None:
        if has_own_disk(ctx):
            keep_disk(ctx)


def given_user_data(text: str | None) -> str | None:
    """The user data as Nova takes them. Raises Invalid for what is no base64."""
    if text is None:
        return None
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Invalid(f"the option user_data is not base64: {error}") from None
    return text


def given_hints(text: str | None) -> Facts:
    """The scheduler hints. Raises Invalid for what is no JSON object."""
    try:
        hints = json.loads(text or "{}")
    except ValueError as error:
        raise Invalid(f"the option scheduler_hints is not JSON: {error}") from None
    if not isinstance(hints, dict):
        raise Invalid('the option scheduler_hints has to be a JSON object such as {"different_host": ["…"]}')
    return {name: value for name, value in hints.items() if name != "group"}


def check_state(server: Object) -> None:
    """Raises Invalid for a server whose state does not let its disk be read, or could not be brought back."""
    status = server["status"]
    if status not in PROTECTABLE:
        way_out = WAYS_OUT.get(status, "bring it into one of these first")
        raise Invalid(
            f"server {server.get('name', '')!r} ({server['id']}) is {status}; "
            f"only servers that are ACTIVE, SHUTOFF or PAUSED can be protected: {way_out}"
        )


def check_known(ctx: Context, cloud: Cloud, server: Object, volumes: list[Facts], ports: Sequence[Object]) -> None:
    """Raises Invalid where the server has got something since its graph was made, which this checkpoint does not hold.

    `ports` are those of its ports that are the project's.
    """
    late = latecomers(cloud, server, volumes, ports, {child.ref for child in ctx.children})
    if late:
        came = ", ".join(map(str, late))
        raise Invalid(
            f"server {server['name']!r} ({server['id']}) has got {came} while it was being protected, which this "
            "checkpoint does not hold; protect it again"
        )


def read_volumes(cloud: Cloud, server: Object) -> list[Facts]:
    """The attached volumes. No member is told which is the root: it is the first that can be booted from."""
    attachments = SERVER.attachments(cloud, id=server["id"])
    root = None
    if not server["image"]:
        ids = [attachment["volumeId"] for attachment in by_device(attachments)]
        bootable = (id for id in ids if (VOLUME.get(cloud, id) or {}).get("bootable") == "true")
        root = next(bootable, next(iter(ids), None))
    return volume_facts(attachments, root)


def read_ports(cloud: Cloud, server: Object, found: list[Object]) -> list[Facts]:
    """The server's ports in the order of its NICs; `found` are those that Neutron knows of it."""
    ports = port_facts(server, found, SERVER.interfaces(cloud, id=server["id"]))
    return [{**port, "qos_policy": saved_policy(cloud, port.get("qos_policy_id"))} for port in ports]


def read_networks(cloud: Cloud, ports: list[Facts]) -> Iterable[Facts]:
    """The networks of the ports, in the order of the NICs. Raises Gone for one that vanished meanwhile."""
    for id in dict.fromkeys(port["network_id"] for port in ports):
        subnets = cloud.pages("network", "/subnets", "subnets", params={"network_id": id})
        yield network_facts(_network(cloud, id), subnets, ports)


def read_floating_ips(cloud: Cloud, ports: list[Facts]) -> Iterable[Object]:
    """The floating IPs that point to the ports."""
    ids: list[Any] = [port["id"] for port in ports]
    if not ids or not FLOATING_IP.offered(cloud):
        return
    for floating_ip in cloud.pages("network", "/floatingips", "floatingips", params={"port_id": ids}):
        if floating_ip["port_id"] in ids:
            yield floating_ip


def read_forwarding(cloud: Cloud) -> Iterable[Object]:
    """The project's floating IPs, where some may forward single ports; to what they lead, no filter can tell."""
    if FORWARDING not in cloud.extensions():
        return ()
    wanted = {"fields": ["floating_ip_address", "port_forwardings"]}
    return cloud.pages("network", "/floatingips", "floatingips", params=wanted)


def _floating_ip(cloud: Cloud, floating_ip: Object) -> Facts:
    return floating_ip_facts(floating_ip, _network(cloud, floating_ip["floating_network_id"])["name"])


def _network(cloud: Cloud, id: str) -> Object:
    network = NETWORK.get(cloud, id)
    if network is None:
        raise Gone(f"network {id}, to which a server is connected, is not visible in cloud {cloud.name!r}", 404)
    return network
