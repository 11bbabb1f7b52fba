"""What is kept of a server, and how it is picked out of the services' answers; nothing here asks a cloud."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from karbor.cloud.kind import Object
from karbor.plugins.image.facts import SHAPE, image_facts

Facts = dict[str, Any]

FLAVOR_KEYS = ("original_name", "vcpus", "ram", "disk", "ephemeral", "swap", "extra_specs")
PORT_KEYS = (
    "id", "name", "description", "network_id", "admin_state_up", "mac_address", "fixed_ips", "security_groups",
    "port_security_enabled", "allowed_address_pairs", "extra_dhcp_opts", "binding:vnic_type", "qos_policy_id", "tags",
)  # fmt: skip
"""Attributes of a port that a member reads and can set again; those of absent extensions are left out."""

PORT_LOSSES = {
    "trunk_details": "trunks and their subports are not restored",
    "dns_domain": "a port that is made anew has the DNS domain of its network",
    "device_profile": "accelerators are not restored",
    "propagate_uplink_status": "whether a port that is made anew shows the state of its uplink is the cloud's choice",
    "numa_affinity_policy": "a port that is made anew has none",
}
FLOATING_IP_LOSSES = {
    "dns_name": "a floating IP that is made anew has no DNS name",
    "dns_domain": "a floating IP that is made anew has no DNS domain",
    "qos_policy_id": "a floating IP that is made anew has no QoS policy of its own",
}
"""A DNS service would refuse the name as long as the old floating IP has it."""

OF_THE_SNAPSHOT = frozenset(
    {
        "base_image_ref", "instance_uuid", "user_id", "owner_id", "owner_user_name", "owner_project_name", "boot_roles",
        "image_location", "image_state", "image_type", "old_vm_state",
    }
)  # fmt: skip
"""Properties that say where a snapshot came from, not what the disk in it needs."""
OF_AN_UPLOAD = "owner_specified.openstack."
"""With this begin the properties in which a client noted which file the base image was."""


@dataclass(frozen=True)
class ServerFacts:
    """All that is kept of one server. Lists and objects have the services' own names inside, where they have any."""

    name: str = ""
    description: str | None = None
    hostname: str = ""
    status: str = "ACTIVE"
    """ACTIVE, SHUTOFF or PAUSED."""
    locked: bool = False
    locked_reason: str | None = None
    image: str = ""
    """Id of the image that it booted from; empty where it boots from a volume."""
    flavor: Facts = field(default_factory=dict)
    """`id`, and what Nova embeds: original_name, vcpus, ram (MiB), disk, ephemeral (GiB), swap (MiB), extra_specs."""
    availability_zone: str = ""
    key_name: str | None = None
    config_drive: bool = False
    disk_config: str = ""
    access_ipv4: str = ""
    access_ipv6: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    trusted_image_certificates: list[str] = field(default_factory=list)
    server_group: str | None = None
    user_data: str | None = None
    """Base64, as it was given to the protect run."""
    scheduler_hints: Facts = field(default_factory=dict)
    volumes: list[Facts] = field(default_factory=list)
    """In the order of the devices: `id`, `root`, `device`, `delete_on_termination`, `tag`."""
    ports: list[Facts] = field(default_factory=list)
    """In the order of the NICs: PORT_KEYS, `nic_tag`, and `qos_policy` with `id` and `name`, or None."""
    networks: list[Facts] = field(default_factory=list)
    """Of the ports: `id`, `name`, and `subnets` with `id`, `cidr`, `ipv6_address_mode`."""
    floating_ips: list[Facts] = field(default_factory=list)
    """`id`, `address`, `network_id`, `network_name`, `port_id`, `fixed_ip`, `description`, `tags`."""
    disk: Facts = field(default_factory=dict)
    """Of the own disk: `image`, as `disk_facts` says, and `data`, as `plugins.image.data` says."""


def server_facts(server: Object, flavor_id: str) -> Facts:
    """The facts that Nova's own answer holds (microversion 2.90 or later for the host name)."""
    image = server.get("image") or {}
    groups = server.get("server_groups") or [None]
    return {
        "name": server["name"],
        "description": server.get("description"),
        "hostname": server.get("OS-EXT-SRV-ATTR:hostname") or "",
        "status": server["status"],
        "locked": bool(server.get("locked")),
        "locked_reason": server.get("locked_reason"),
        "image": image.get("id", ""),
        "flavor": {"id": flavor_id, **picked(server["flavor"], FLAVOR_KEYS)},
        "availability_zone": server.get("OS-EXT-AZ:availability_zone") or "",
        "key_name": server.get("key_name"),
        "config_drive": bool(server.get("config_drive")),
        "disk_config": server.get("OS-DCF:diskConfig") or "",
        "access_ipv4": server.get("accessIPv4") or "",
        "access_ipv6": server.get("accessIPv6") or "",
        "metadata": dict(server.get("metadata") or {}),
        "tags": list(server.get("tags") or ()),
        "trusted_image_certificates": list(server.get("trusted_image_certificates") or ()),
        "server_group": groups[0],
    }


def volume_facts(attachments: Iterable[Object], root: str | None) -> list[Facts]:
    """The attached volumes; `root` is the id of the one that the server boots from."""
    return [
        {
            "id": attachment["volumeId"],
            "root": attachment["volumeId"] == root,
            "device": attachment.get("device"),
            "delete_on_termination": bool(attachment.get("delete_on_termination")),
            "tag": attachment.get("tag"),
        }
        for attachment in by_device(attachments)
    ]


def by_device(attachments: Iterable[Object]) -> list[Object]:
    """In the order in which the guest counts its disks: vda … vdz, vdaa …; Nova's list has no promised order."""

    def place(attachment: Object) -> tuple[int, str]:
        device = str(attachment.get("device") or "")
        return len(device), device

    return sorted(attachments, key=place)


def port_facts(server: Object, ports: Iterable[Object], interfaces: Sequence[Object]) -> list[Facts]:
    """The server's ports in the order of its NICs, with their device tags."""
    tags = {interface["port_id"]: interface.get("tag") for interface in interfaces}
    mine = [port for port in ports if port["id"] in tags]
    return [{**picked(port, PORT_KEYS), "nic_tag": tags[port["id"]]} for port in nic_order(server, mine)]


def nic_order(server: Object, ports: Iterable[Object]) -> list[Object]:
    """The ports as the server counts them: inside each network as its `addresses` say, across networks by age.

    Nobody tells the order across networks; Nova makes ports in that order, and so does a restore.
    """
    macs = [entry.get("OS-EXT-IPS-MAC:mac_addr") for entries in server["addresses"].values() for entry in entries]
    by_network: dict[str, list[Object]] = {}
    for port in ports:
        by_network.setdefault(port["network_id"], []).append(port)
    for group in by_network.values():
        group.sort(key=lambda port: macs.index(port["mac_address"]) if port["mac_address"] in macs else len(macs))
    return list(heapq.merge(*by_network.values(), key=lambda port: str(port.get("created_at") or "")))


def network_facts(network: Object, subnets: Iterable[Object], ports: Iterable[Object]) -> Facts:
    """A network and those of its subnets in which `ports` have addresses."""
    used = {address["subnet_id"] for port in ports for address in port["fixed_ips"]}
    return {
        **picked(network, ("id", "name")),
        "subnets": [picked(subnet, ("id", "cidr", "ipv6_address_mode")) for subnet in subnets if subnet["id"] in used],
    }


def floating_ip_facts(floating_ip: Object, network_name: str) -> Facts:
    """A floating IP that is bound to a port of the server."""
    return {
        "id": floating_ip["id"],
        "address": floating_ip["floating_ip_address"],
        "network_id": floating_ip["floating_network_id"],
        "network_name": network_name,
        "port_id": floating_ip["port_id"],
        "fixed_ip": floating_ip["fixed_ip_address"],
        "description": floating_ip.get("description") or "",
        "tags": list(floating_ip.get("tags") or ()),
    }


def forwarded(floating_ips: Iterable[Object], ports: Sequence[Object]) -> Iterable[tuple[str, str]]:
    """Which floating IPs lead to the ports by port forwarding only, which is not restored; each with that reason."""
    ids = {port["id"] for port in ports}
    addresses = {address["ip_address"] for port in ports for address in port["fixed_ips"]}
    for floating_ip in floating_ips:
        for rule in floating_ip.get("port_forwardings") or ():
            to_us = (
                rule["internal_port_id"] in ids
                if "internal_port_id" in rule
                else rule["internal_ip_address"] in addresses
            )
            if to_us:
                name = f"port {rule['external_port']} of floating IP {floating_ip['floating_ip_address']}"
                yield name, "port forwarding is not restored; set it up again by hand"


def disk_facts(snapshot: Object, *, mark: str) -> Facts:
    """Attributes for an image of the own disk, from its snapshot; the property `mark` only says who took that."""
    facts = image_facts(snapshot)
    theirs = {mark, *OF_THE_SNAPSHOT}
    properties = {
        key: value
        for key, value in facts["properties"].items()
        if key not in theirs and not key.startswith(OF_AN_UPLOAD)
    }
    return {**picked(facts, SHAPE), "properties": properties}


def losses(server: Object, *, user_data: bool, hints: bool) -> Iterable[tuple[str, str]]:
    """What of the server nobody can keep, each with the reason."""
    flavor = server["flavor"]
    if not user_data:
        yield "user_data", "no member can read it from the cloud; give it with the option user_data"
    if not hints:
        yield "scheduler_hints", "no member can read them from the cloud; give them with the option scheduler_hints"
    if flavor.get("ephemeral") or flavor.get("swap"):
        yield "ephemeral disks", "a snapshot holds the root disk only; ephemeral and swap disks come back empty"
    if server["status"] == "PAUSED":
        yield "memory", "a snapshot holds the disk only; the guest boots before it is paused again"
    if any(key.startswith("hw:tpm") for key in flavor.get("extra_specs") or {}):
        yield "vTPM", "its state cannot be read, and a new server gets an empty one"
    if len(server["addresses"]) > 1:
        yield "order of NICs across networks", "Nova tells it only inside each network; the age of the ports has to do"


def port_losses(hostname: str, ports: Iterable[Object]) -> Iterable[tuple[str, str]]:
    """What of the ports of a server with this host name is not restored, each with the reason."""
    for port in ports:
        for key, why in PORT_LOSSES.items():
            if port.get(key):
                yield f"{key} of port {port['id']}", why
        # Nova cannot even build a server with a port that has another DNS name than its own.
        if (port.get("dns_name") or "").lower() not in ("", hostname.lower()):
            yield f"dns_name of port {port['id']}", "Nova gives the ports of a server its host name"


def floating_ip_losses(floating_ips: Iterable[Object]) -> Iterable[tuple[str, str]]:
    """What of the floating IPs is not restored where they have to be made anew, each with the reason."""
    for floating_ip in floating_ips:
        for key, why in FLOATING_IP_LOSSES.items():
            if floating_ip.get(key):
                yield f"{key} of floating IP {floating_ip['floating_ip_address']}", why


def picked(source: Object, keys: Iterable[str]) -> Facts:
    """Those of `keys` that `source` has."""
    return {key: source[key] for key in keys if key in source}
