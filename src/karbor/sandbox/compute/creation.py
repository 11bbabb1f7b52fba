"""What a request for a new server must say, and the server it makes: all is checked before anything is changed."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from typing import Any

from karbor.sandbox.compute import disks, nics
from karbor.sandbox.compute.flavors import find_flavor
from karbor.sandbox.compute.keypairs import find_keypair
from karbor.sandbox.compute.metadata import check_metadata
from karbor.sandbox.compute.rules import ZONE, body_of, boolean, check_quota, check_text, invalid, number
from karbor.sandbox.compute.server_groups import find_group
from karbor.sandbox.compute.tags import check_tags
from karbor.sandbox.http import Fault, Request
from karbor.sandbox.image.rules import visible_image
from karbor.sandbox.state import Object, State, new_id

GIB = 1 << 30
LONGEST_USER_DATA = 65535
KEYS = {
    "name",
    "flavorRef",
    "imageRef",
    "networks",
    "block_device_mapping_v2",
    "key_name",
    "user_data",
    "config_drive",
    "metadata",
    "availability_zone",
    "security_groups",
    "accessIPv4",
    "accessIPv6",
    "OS-DCF:diskConfig",
    "adminPass",
    "min_count",
    "max_count",
    "return_reservation_id",
}
SINCE = {19: "description", 52: "tags", 63: "trusted_image_certificates", 90: "hostname"}


def new_server(state: State, request: Request) -> tuple[Object, str]:
    """The server that the request asks for, in BUILD with its volumes reserved, and its administrator's password.

    Raises Fault 400, 403 or 409 and changes nothing.
    """
    version = request.microversion("compute")
    body = body_of(request, "server", KEYS | {name for minor, name in SINCE.items() if version >= (2, minor)})
    facts = _texts(body) | _places(state, request, body)
    flavor, image = _flavor(state, body), _image(state, request, body)
    own_disk, planned_disks = disks.plan_disks(state, request, body.get("block_device_mapping_v2"), image)
    if own_disk:
        _check_fits(flavor, image)
    if "networks" not in body and version >= (2, 37):
        raise invalid("server", sorted(body), "'networks' is a required property")
    planned_nics = nics.plan_nics(state, request, body.get("networks"))
    groups = nics.find_groups(state, request, body.get("security_groups"))
    _check_number(state, request, body, flavor)
    nics.check_port_quota(state, request.project_id, planned_nics)
    limit = state.quota(request.project_id, "compute")["metadata_items"]
    if 0 <= limit < len(facts["metadata"]):
        raise Fault(403, f"Maximum number of metadata items exceeds {limit}")
    now = state.now()
    id = new_id()
    server = {
        "id": id,
        "project_id": request.project_id,
        "user_id": request.user_id,
        "created_at": now,
        "updated_at": now,
        "launched_at": None,
        "terminated_at": None,
        "reservation_id": f"r-{secrets.token_hex(4)}",
        "vm_state": "building",
        "task_state": "scheduling",
        "fault": None,
        "locked": None,
        "host": None,
        "zone": ZONE,
        "nics": [],
        "scheduled": False,
        "flavor": {**flavor, "extra_specs": dict(flavor["extra_specs"])},
        "image_id": image["id"] if image else None,
        "own_disk": own_disk,
        "disks": planned_disks,
        "planned_nics": planned_nics,
        "security_group_ids": groups,
        "doomed": None,
        **facts,
        "hostname": facts["hostname"] or _hostname(facts["name"]) or f"Server-{id}",
    }
    server["doomed"] = disks.claim_volumes(state, request, planned_disks)
    state.save("server", server)
    state.count("server", server["name"])
    return server, str(body.get("adminPass") or secrets.token_urlsafe(9))


def _check_number(state: State, request: Request, body: dict[str, Any], flavor: Object) -> None:
    """Raises Fault 403 for more servers than the project may have, 400 for more than one."""
    count = max(number(key, body.get(key, 1)) for key in ("min_count", "max_count"))
    least = number("min_count", body.get("min_count", 1))
    check_quota(state, request.project_id, instances=least, cores=least * flavor["vcpus"], ram=least * flavor["ram"])
    if count != 1:
        raise invalid("max_count", count, "this cloud makes one server a request")


def _texts(body: dict[str, Any]) -> Object:
    """What the server is told about itself."""
    name = check_name(body.get("name"))
    description = body.get("description")
    if description is not None:
        check_text("description", description)
    hostname = None if body.get("hostname") is None else check_hostname(body["hostname"])
    disk_config = body.get("OS-DCF:diskConfig", "MANUAL")
    if disk_config not in ("AUTO", "MANUAL"):
        raise invalid("OS-DCF:diskConfig", disk_config, f"{disk_config!r} is not one of ['AUTO', 'MANUAL']")
    certificates = body.get("trusted_image_certificates")
    if certificates is not None and not (
        isinstance(certificates, list) and all(isinstance(one, str) for one in certificates)
    ):
        raise invalid("trusted_image_certificates", certificates, "it is not a list of strings")
    return {
        "name": name,
        "description": description,
        "hostname": hostname,
        "disk_config": disk_config,
        "metadata": check_metadata(body.get("metadata", {})),
        "tags": check_tags(body.get("tags") or []),
        "user_data": _user_data(body.get("user_data")),
        "access_ipv4": body.get("accessIPv4", ""),
        "access_ipv6": body.get("accessIPv6", ""),
        "trusted_image_certificates": certificates,
        "config_drive": "True" if boolean("config_drive", body.get("config_drive") or False) else "",
    }


def check_name(name: Any) -> str:
    """A server's name, if it can be one. Raises Fault 400."""
    if check_text("name", name, shortest=1) != name.strip():
        raise invalid("name", name, "it can not start or end with whitespace")
    return str(name)


def check_hostname(hostname: Any) -> str:
    """A host name, if it can be one: 2 to 63 letters, digits and hyphens, no dots. Raises Fault 400."""
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9]", check_text("hostname", hostname, longest=63)):
        raise invalid("hostname", hostname, f"{hostname!r} does not match '^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$'")
    return str(hostname)


def _hostname(name: str) -> str:
    """What Nova makes of a name, which it need not take as a host name; empty where nothing is left of it."""
    latin = name.encode("latin-1", "ignore").decode("latin-1")[:63]
    return re.sub(r"[^\w-]", "", re.sub("[ _.]", "-", latin)).lower().strip("-")


def _user_data(text: Any) -> str | None:
    if text is None:
        return None
    check_text("user_data", text, longest=LONGEST_USER_DATA)
    try:
        base64.b64decode(text)  # as lenient as Nova: what is no letter of the code is overlooked
    except (binascii.Error, ValueError):
        raise Fault(400, "User data needs to be valid base 64.") from None
    return str(text)


def _places(state: State, request: Request, body: dict[str, Any]) -> Object:
    """With which key, in which zone and group the server is to be. Raises Fault 400, 403."""
    key_name = body.get("key_name")
    if key_name is not None and find_keypair(state, request.user_id, str(key_name)) is None:
        raise Fault(400, "Invalid key_name provided.")
    zone = body.get("availability_zone")
    if zone is not None and ":" in str(zone) and not request.is_admin:
        raise Fault(403, "Policy doesn't allow os_compute_api:servers:create:forced_host to be performed.")
    if zone is not None and str(zone).partition(":")[0] != ZONE:
        raise Fault(400, "The requested availability zone is not available")
    whole = request.json()
    hints = whole.get("os:scheduler_hints") or whole.get("OS-SCH-HNT:scheduler_hints") or {}
    group_id = hints.get("group") if isinstance(hints, dict) else None
    if group_id is not None and find_group(state, request.project_id, str(group_id)) is None:
        raise Fault(400, f"Instance group {group_id} could not be found.")
    return {"key_name": key_name, "asked_zone": zone, "group_id": group_id}


def _flavor(state: State, body: dict[str, Any]) -> Object:
    id = str(body.get("flavorRef", "")).rpartition("/")[2]
    if not id:
        raise invalid("server", sorted(body), "'flavorRef' is a required property")
    try:
        return find_flavor(state, id)
    except Fault as missing:
        raise Fault(400, missing.message) from None


def _image(state: State, request: Request, body: dict[str, Any]) -> Object | None:
    """The image to boot from, by imageRef or as disk 0 of the mapping."""
    id = str(body.get("imageRef") or "").rpartition("/")[2]
    mapping = body.get("block_device_mapping_v2")
    for entry in mapping if isinstance(mapping, list) else ():
        if not id and isinstance(entry, dict) and entry.get("source_type") == "image":
            id = str(entry.get("uuid") or "")
    if not id:
        return None
    image = visible_image(state, request.project_id, id)
    if image is None:
        raise Fault(400, "Can not find requested image")
    if image["status"] != "active":
        raise Fault(400, f"Image {id} is not active.")
    return image


def _check_fits(flavor: Object, image: Object | None) -> None:
    """Raises Fault 400 where the image, or what it asks for, is larger than the flavor."""
    if image is None:
        raise Fault(400, "Invalid imageRef provided.")
    if flavor["ram"] < image["min_ram"]:
        raise Fault(400, "Flavor's memory is too small for requested image.")
    if flavor["disk"] and (flavor["disk"] < image["min_disk"] or flavor["disk"] * GIB < image["size"]):
        raise Fault(
            400,
            f"Flavor's disk is too small for requested image. Flavor disk is {flavor['disk'] * GIB} bytes, image is "
            f"{image['size']} bytes and asks for {image['min_disk']} GiB.",
        )
