"""What a cloud shows of an application: every attribute of every object, under the services' own names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.images import IMAGE
from karbor.cloud.kind import Object
from karbor.cloud.networks import SECURITY_GROUP
from karbor.cloud.servers import SERVER
from karbor.demo import disks
from karbor.demo.application import OWN_DISK, Application

READERS_AT_ONCE = 4
PLACES = {"links", "self", "file", "schema", "direct_url", "locations", "stores", "service_uuid", "shared_targets"}
"""Attributes that say where an object is asked for or kept, not what it is; the cloud chooses, perhaps later on."""


class Description(NamedTuple):
    """One object. Attributes inside others are called `outer.inner`; lists are kept as they are."""

    kind: str
    id: str
    attributes: Mapping[str, Any]


def describe(cloud: Cloud, app: Application) -> dict[str, Description]:
    """Each thing of the application by its role; what is gone is left out. No bytes are read."""
    found = {}
    for role, (kind, id) in app.things.items():
        obj = kind.get(cloud, id)
        if obj is not None:
            shown = _server(cloud, obj) if kind is SERVER else FORMS.get(kind.name, dict)(obj)
            kept = {key: value for key, value in shown.items() if key not in PLACES}
            found[role] = Description(kind.name, id, dict(_flat(kept)))
    return found


def hash_bytes(cloud: Cloud, app: Application, *, own_disks: bool = True) -> dict[str, str]:
    """The SHA-256 of every volume, image and own disk, by kind and role.

    Own disks can be left out, with the images that they became: where guests really run, they write to theirs.
    """
    todo: dict[str, Callable[[], str]] = {}
    for role, (kind, id) in app.things.items():
        if kind is VOLUME:
            todo[f"volume {role}"] = partial(disks.volume_sha256, cloud, id)
        elif kind is IMAGE and (own_disks or not role.startswith(OWN_DISK)):
            todo[f"image {role}"] = partial(disks.image_sha256, cloud, id)
        elif kind is SERVER and own_disks and SERVER.seen(cloud, id)["image"]:
            todo[OWN_DISK + role] = partial(disks.own_disk_sha256, cloud, id)
    readers = ThreadPoolExecutor(READERS_AT_ONCE)
    try:
        running = {what: readers.submit(read) for what, read in todo.items()}
        return {what: each.result() for what, each in running.items()}
    finally:
        readers.shutdown(wait=False, cancel_futures=True)  # a failure or Ctrl-C does not wait for the other disks


def _flat(attributes: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in attributes.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + str(key), value


def _server(cloud: Cloud, server: Object) -> dict[str, Any]:
    """With its flavor's id, disks and NICs, which Nova tells in other places. Addresses are put as texts, in order."""
    id = str(server["id"])
    addresses = {
        network: {
            type: [f"{each['addr']} at {_mac(each)}" for each in _by_nic(those) if _type(each) == type]
            for type in ("fixed", "floating")
        }
        for network, those in server["addresses"].items()
    }
    disks = {
        each["device"]: {name: each.get(name) for name in ("volumeId", "tag", "delete_on_termination")}
        for each in SERVER.attachments(cloud, id=id)
    }
    nics = {
        each["mac_addr"]: {name: each.get(name) for name in ("port_id", "net_id", "tag")}
        for each in SERVER.interfaces(cloud, id=id)
    }
    told_better = {"os-extended-volumes:volumes_attached"}
    return {
        **{key: value for key, value in server.items() if key not in told_better},
        "image": {"id": server["image"]["id"]} if server["image"] else {},
        "flavor": {"id": SERVER.flavor_id(cloud, id=id), **server["flavor"]},
        "addresses": addresses,
        "disks": disks,
        "nics": nics,
    }


def _by_nic(addresses: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """In the order of the NICs; Nova tells those of one NIC by subnet, in an order that means nothing."""
    nics = [_mac(each) for each in addresses]
    return sorted(addresses, key=lambda each: (nics.index(_mac(each)), each["addr"]))


def _mac(address: Mapping[str, Any]) -> str:
    return str(address["OS-EXT-IPS-MAC:mac_addr"])


def _type(address: Mapping[str, Any]) -> str:
    return str(address["OS-EXT-IPS:type"])


def _volume(volume: Object) -> dict[str, Any]:
    """With its attachments as texts, without the ids and times of their own."""
    attachments = [f"{each['server_id']} as {each['device']}" for each in volume["attachments"]]
    return {**volume, "attachments": attachments}


def _image(image: Object) -> dict[str, Any]:
    return {key: value for key, value in image.items() if not key.startswith("os_glance")}


def _security_group(group: Object) -> dict[str, Any]:
    """With its rules by what they are for; rules have no names, and their ids mean nothing to anybody."""
    rules: dict[str, list[str]] = {}
    for rule in group["security_group_rules"]:
        ports = "-".join(str(rule[end]) for end in ("port_range_min", "port_range_max") if rule[end] is not None)
        what = " ".join(filter(None, (rule["direction"], rule["ethertype"], rule["protocol"] or "any", ports)))
        peer = rule["remote_group_id"] or rule["remote_ip_prefix"] or "anywhere"
        rules.setdefault(what, []).append(f"{peer} {rule['description'] or ''}".strip())
    return {**{key: value for key, value in group.items() if key != "security_group_rules"}, "rules": rules}


FORMS: Mapping[str, Callable[[Object], Mapping[str, Any]]] = {
    VOLUME.name: _volume,
    IMAGE.name: _image,
    SECURITY_GROUP.name: _security_group,
}
"""How the kinds are described whose answers cannot be compared as they come."""
