"""What Nova, Neutron and Glance are asked for when a server comes back: saved facts in, create bodies out.

Ids of new things may be placeholders of a plan, so they are put into the bodies as they are and never looked into.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from karbor.plugins.image.facts import ImageFacts, image_body
from karbor.plugins.options import MAX_LENGTH
from karbor.plugins.server.facts import Facts, ServerFacts, picked

Body = dict[str, Any]


Modes = Mapping[str, str | None]
"""The IPv6 address mode of each saved subnet."""


class Place(NamedTuple):
    """The network that a port goes to, as far as its body depends on it."""

    network: str
    subnets: Mapping[str, str]
    """For each saved subnet the one that stands for it here; one without a counterpart is missing."""
    own: bool
    """Whether it is the project's: elsewhere a member chooses no addresses, address pairs or port security."""
    empty: bool = False
    """Whether this restore makes it, so that no address in it is taken."""
    other: bool = False
    """Whether a person named it instead of the saved one; then Neutron picks the subnets."""
    four: bool = True
    """Whether one of its subnets is of IPv4."""


AUTOMATIC = frozenset({"slaac", "dhcpv6-stateless"})
"""IPv6 address modes in which the address follows from the MAC and cannot be asked for."""
ALWAYS = ("name", "description", "admin_state_up")
HOSTNAME = re.compile("[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9]")
"""The host names that Nova takes; of a server's name it makes others too."""


def port_body(
    port: Facts,
    place: Place,
    groups: Sequence[str],
    modes: Modes,
    qos_policy: str | None = None,
    *,
    taken: Collection[str] = (),
) -> Body:
    """A port like the saved one, with its MAC and addresses where the place allows to choose them.

    `groups` are the ids of its security groups here, `qos_policy` that of its policy; `taken` are the addresses and
    the MAC that it cannot have.
    """
    body: Body = {"network_id": place.network, **picked(port, ALWAYS), "security_groups": list(groups)}
    if place.own and not place.other and port["mac_address"] not in taken:
        body["mac_address"] = port["mac_address"]
    addresses = fixed_ips(port, place, modes, taken)
    if addresses is not None:
        body["fixed_ips"] = addresses
    if place.own:
        body |= picked(port, ("port_security_enabled",))
        if pairs := address_pairs(port, same_mac="mac_address" in body):
            body["allowed_address_pairs"] = pairs
    if options := port.get("extra_dhcp_opts"):
        body["extra_dhcp_opts"] = [picked(option, ("opt_name", "opt_value", "ip_version")) for option in options]
    if port.get("binding:vnic_type", "normal") != "normal":
        body["binding:vnic_type"] = port["binding:vnic_type"]
    return body | _given(qos_policy_id=qos_policy)


def fixed_ips(port: Facts, place: Place, modes: Modes, taken: Collection[str]) -> list[Body] | None:
    """The addresses to ask for; None: whatever the network gives, which is not the same as none at all.

    For one that is `taken` it asks for any other of the same subnet.
    """
    if not port["fixed_ips"]:
        return []
    if place.other:
        return None
    asked: list[Body] = []
    for address in port["fixed_ips"]:
        if address["subnet_id"] not in place.subnets:
            continue
        entry = {"subnet_id": place.subnets[address["subnet_id"]]}
        if place.own and modes.get(address["subnet_id"]) not in AUTOMATIC and address["ip_address"] not in taken:
            entry["ip_address"] = address["ip_address"]
        asked.append(entry)
    return asked or None


def address_pairs(port: Facts, *, same_mac: bool) -> list[Body]:
    """The allowed address pairs; the port's own MAC, which Neutron puts in by itself, is left out where it changes."""
    return [
        {"ip_address": pair["ip_address"]}
        if not pair.get("mac_address") or (pair["mac_address"] == port["mac_address"] and not same_mac)
        else picked(pair, ("ip_address", "mac_address"))
        for pair in port.get("allowed_address_pairs") or ()
    ]


def server_body(
    saved: ServerFacts,
    *,
    name: str,
    hostname: str | None,
    flavor: str,
    image: str | None,
    volumes: Sequence[str],
    ports: Sequence[str],
    zone: str | None,
    key_name: str | None,
    group: str | None,
) -> Body:
    """The server; `volumes` and `ports` are new ids in the saved order, `image` is that of its own disk or None."""
    body: Body = {
        "name": name,
        "flavorRef": flavor,
        "networks": networks(saved.ports, ports),
        **_given(
            description=saved.description,
            hostname=hostname,
            availability_zone=zone,
            key_name=key_name,
            metadata=saved.metadata,
            tags=saved.tags,
            config_drive=saved.config_drive,
            user_data=saved.user_data,
            accessIPv4=saved.access_ipv4,
            accessIPv6=saved.access_ipv6,
        ),
        **_given(**{"OS-DCF:diskConfig": saved.disk_config}),
    }
    if image is not None:
        body["imageRef"] = image
        body |= _given(trusted_image_certificates=saved.trusted_image_certificates)
    if saved.volumes:
        body["block_device_mapping_v2"] = block_devices(saved.volumes, volumes, image)
    hints = {**saved.scheduler_hints, **_given(group=group)}
    return {**body, **_given(**{"os:scheduler_hints": hints})}


def hostname_of(name: str) -> str:
    """The host name that Nova makes of a server's name; empty where it makes one of the server's id."""
    latin = name.encode("latin-1", "ignore").decode("latin-1")[:63]
    return re.sub(r"[^\w-]", "", re.sub("[ _.]", "-", latin)).lower().strip("-")


def networks(saved: Sequence[Facts], ports: Sequence[str]) -> list[Body] | str:
    """The NICs in their order; the word `none` for a server without any."""
    return [
        {"port": port, **_given(tag=facts.get("nic_tag"))} for facts, port in zip(saved, ports, strict=True)
    ] or "none"


def block_devices(saved: Sequence[Facts], volumes: Sequence[str], image: str | None) -> list[Body]:
    """The disks in the order in which the guest shall see them; an image's own disk must be listed beside volumes.

    None is deleted with the server: a server that fails to build would take its restored volumes with it.
    """
    devices: list[Body] = []
    if image is not None:
        devices.append(
            {
                "uuid": image,
                "source_type": "image",
                "destination_type": "local",
                "boot_index": 0,
                "delete_on_termination": True,
            }
        )
    for facts, volume in zip(saved, volumes, strict=True):
        devices.append(
            {
                "uuid": volume,
                "source_type": "volume",
                "destination_type": "volume",
                "boot_index": 0 if facts["root"] and image is None else -1,
                "delete_on_termination": False,
                **_given(tag=facts.get("tag")),
            }
        )
    return devices


def disk_body(saved: ServerFacts, name: str) -> Body:
    """The image that the own disk of the server called `name` becomes; private, since nobody shared the disk."""
    return image_body(ImageFacts(**saved.disk["image"]), f"{name}-disk"[:MAX_LENGTH])


def floating_ip_body(floating_ip: Facts, network: str) -> Body:
    """A floating IP in this network, its address the service's to choose."""
    return {"floating_network_id": network, "description": floating_ip["description"]}


def _given(**attributes: Any) -> Body:
    """Those that have a value; an empty one means that the service's default was left as it is."""
    return {key: value for key, value in attributes.items() if value}
