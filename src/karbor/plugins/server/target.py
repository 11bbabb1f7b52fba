"""What a restored server finds in the target cloud: its flavor, zone, key pair, server group and networks there.

What the project does not own is looked up by id, then by name, and never made; the outline decides it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from karbor.cloud.connection import Cloud
from karbor.cloud.kind import Object
from karbor.cloud.networks import NETWORK, SECURITY_GROUP, SUBNET
from karbor.cloud.servers import FLAVOR, KEYPAIR, SERVER, SERVER_GROUP
from karbor.model.errors import Blocked
from karbor.model.resource import Ref
from karbor.plugins.base import Context
from karbor.plugins.network.external import EXTERNAL
from karbor.plugins.server.bodies import HOSTNAME, Place, hostname_of
from karbor.plugins.server.facts import Facts, picked

FLAVOR_SIZES = ("vcpus", "ram", "disk")
NAMING = frozenset({"same_host", "different_host"})
"""The scheduler hints whose values are ids of servers."""


def is_child(ctx: Context, ref: Ref) -> bool:
    """Whether the checkpoint holds it, so that a plug-in of its own restores or finds it."""
    return any(child.ref == ref for child in ctx.children)


def flavor(ctx: Context) -> str:
    """The id of the flavor to use. Raises Blocked when there is none that fits."""
    saved, wanted = ctx.saved.flavor, ctx.options.restore_flavor_id
    found = ctx.choose("flavor", partial(find_flavor, saved, wanted, ctx.saved.disk.get("image", {})))
    name = saved["original_name"]
    if wanted:
        ctx.note("flavor", "mapped", f"{name} became {found['name']}, as asked for")
    elif found["same"]:
        ctx.note("flavor", "same", name)
    else:
        ctx.note("flavor", "mapped", f"{name} became {found['name']}, whose id or sizes are others")
    return str(found["id"])


def find_flavor(saved: Facts, wanted: str | None, image: Facts, cloud: Cloud) -> Facts:
    """The flavor `wanted`, or the saved one: by id, then by name and sizes; large enough for the own disk's `image`."""
    id = wanted or saved["id"]
    found = FLAVOR.get(cloud, id)
    if found is None and not wanted:
        found = next((each for each in FLAVOR.list(cloud) if _alike(each, saved)), None)
    if found is None:
        sizes = "" if wanted else " ({vcpus} vCPUs, {ram} MiB, disk of {disk} GiB)".format(**saved)
        name = id if wanted else f"{saved['original_name']}{sizes}"
        raise Blocked(f"cloud {cloud.name!r} has no flavor {name} for this project; name one with restore_flavor_id")
    for size, smallest, unit in (("disk", "min_disk", "GiB"), ("ram", "min_ram", "MiB")):
        if 0 < found[size] < image.get(smallest, 0):
            raise Blocked(
                f"flavor {found['name']} has a {size} of {found[size]} {unit}, but the server's own disk needs "
                f"{image[smallest]} {unit}; name a larger one with restore_flavor_id"
            )
    return {**picked(found, ("id", "name")), "same": found["id"] == saved["id"] and _alike(found, saved)}


def hostname(ctx: Context, name: str) -> str | None:
    """The saved host name; None where Nova does not take it and makes one of the `name` that the server gets."""
    saved: str = ctx.saved.hostname
    if not saved:
        return None
    if HOSTNAME.fullmatch(saved):
        ctx.note("hostname", "same")
        return saved
    made = hostname_of(name)
    if made == saved:
        ctx.note("hostname", "same", "Nova makes it of the name again, as it takes no such host name")
    else:
        why = f"which Nova makes of the name {name!r}, as it takes no host name {saved!r}"
        ctx.note("hostname", "mapped", f"{made or 'one with its id'}, {why}")
    return None


def zone(ctx: Context) -> str | None:
    """The saved availability zone, or None where the target has none of that name."""
    saved = ctx.saved.availability_zone
    if not saved:
        return None
    if ctx.choose("availability zone", partial(has_zone, saved)):
        ctx.note("availability_zone", "same")
        return str(saved)
    ctx.note("availability_zone", "mapped", f"there is no zone {saved}; the cloud picks one")
    return None


def has_zone(name: str, cloud: Cloud) -> bool:
    """Whether the availability zone takes servers."""
    zones = cloud.get("compute", "/os-availability-zone")["availabilityZoneInfo"]
    return any(each["zoneName"] == name and each["zoneState"]["available"] for each in zones)


def key_pair(ctx: Context) -> str | None:
    """The key pair's name here, or None where this user has none."""
    name = ctx.saved.key_name
    if name is None:
        return None
    ref = Ref(KEYPAIR.type, name)
    if is_child(ctx, ref):
        ctx.note("key_name", "same", "the same key; its own note tells its name")
        return ctx.new(ref)
    if ctx.choose("key pair", lambda cloud: KEYPAIR.get(cloud, name) is not None):
        ctx.note("key_name", "mapped", f"{name} of the user who restores, which may be another key")
        return str(name)
    ctx.note("key_name", "cannot", f"this user has no key pair {name}; it belonged to another user")
    return None


def server_group(ctx: Context) -> str | None:
    """The server group here; None where the server had none or it was gone already."""
    if ctx.saved.server_group is None:
        return None
    ref = Ref(SERVER_GROUP.type, ctx.saved.server_group)
    if is_child(ctx, ref):
        ctx.note("server_group", "same")
        return ctx.new(ref)
    ctx.note("server_group", "cannot", f"the group {ref.id} is not in the checkpoint")
    return None


def scheduler_hints(ctx: Context) -> Facts:
    """The saved hints without servers that are not here: beside one that is gone Nova finds no host."""
    saved: Facts = ctx.saved.scheduler_hints
    named = {name: saved[name] if isinstance(saved[name], list) else [saved[name]] for name in NAMING & saved.keys()}
    gone: list[str] = []
    if named:
        ids = sorted({str(id) for servers in named.values() for id in servers})
        gone = ctx.choose("servers of the hints that are not here", partial(missing_servers, ids))
    if not gone:
        if saved:
            ctx.note("scheduler_hints", "same")
        return saved
    why = f"server {', '.join(gone)}, which they name, is not here; one that is restored has another id"
    ctx.note("scheduler_hints", "cannot", why)
    left = {name: [id for id in servers if str(id) not in gone] for name, servers in named.items()}
    return {name: value for name, value in {**saved, **left}.items() if value != []}


def missing_servers(ids: Sequence[str], cloud: Cloud) -> list[str]:
    """Which of the servers are not in this project."""
    return [id for id in ids if SERVER.get(cloud, id) is None]


def security_groups(ctx: Context, port: Facts) -> list[str]:
    """The groups of a port, here. Raises Blocked for another project's that is not shared with this one."""
    found: list[str] = []
    for id in port["security_groups"]:
        ref = Ref(SECURITY_GROUP.type, id)
        if is_child(ctx, ref):
            found.append(ctx.new(ref))
        else:
            found.append(ctx.choose(f"security group {id}", partial(find_group, id)))
    return found


def find_group(id: str, cloud: Cloud) -> str:
    """The id of another project's security group that this one may use. Raises Blocked."""
    if SECURITY_GROUP.get(cloud, id) is None:
        raise Blocked(f"security group {id}, which another project shared, is not visible in cloud {cloud.name!r}")
    return id


def place(ctx: Context, network: Facts) -> Place:
    """Where the ports of a saved network go. Raises Blocked when the target has no such network."""
    asked = ctx.options.restore_net_id
    if asked and asked != network["id"]:
        found = ctx.choose(f"network {asked}", partial(find_network, {"id": asked, "name": "", "subnets": []}))
        return Place(found["id"], {}, found["own"], other=True, four=found.get("four", True))
    ref = Ref(NETWORK.type, network["id"])
    if is_child(ctx, ref):
        id = ctx.new(ref)
        if id != ref.id:
            subnets = {subnet["id"]: ctx.new(Ref(SUBNET.type, subnet["id"])) for subnet in network["subnets"]}
            return Place(id, subnets, own=True, empty=True)
    found = ctx.choose(f"network {ref.id}", partial(find_network, network))
    return Place(found["id"], found["subnets"], found["own"], four=found.get("four", True))


def find_network(saved: Facts, cloud: Cloud) -> Facts:
    """A living network: `id`, whether it is the project's `own`, what its `subnets` stand for, whether any is of IPv4
    (`four`). Raises Blocked.
    """
    network = NETWORK.get(cloud, saved["id"]) or _named(cloud, saved)
    if network[EXTERNAL] and not network["shared"] and not NETWORK.owned(cloud, network):
        raise Blocked(
            f"network {network['name']!r} ({network['id']}) of cloud {cloud.name!r} is external, and a member gets "
            "only floating IPs from it; name a network for the ports with restore_net_id"
        )
    there = list(cloud.pages("network", "/subnets", "subnets", params={"network_id": network["id"]}))
    subnets = {}
    for subnet in saved["subnets"]:
        same = [each["id"] for each in there if each["id"] == subnet["id"]]
        alike = [each["id"] for each in there if each["cidr"] == subnet["cidr"]]
        if same or alike:
            subnets[subnet["id"]] = (same or alike)[0]
    four = any(each["ip_version"] == 4 for each in there)
    return {"id": network["id"], "own": NETWORK.owned(cloud, network), "subnets": subnets, "four": four}


def _named(cloud: Cloud, saved: Facts) -> Object:
    """The one visible network that has the saved name. Raises Blocked when there is none, or more than one."""
    there = cloud.pages("network", "/networks", "networks", params={"name": saved["name"]}) if saved["name"] else ()
    found: list[Object] = [each for each in there if each["name"] == saved["name"]]
    if len(found) == 1:
        return found[0]
    ids = ", ".join(each["id"] for each in found)
    number = f"{len(found)} networks" if found else "no network"
    raise Blocked(
        f"cloud {cloud.name!r} has {number} {saved['name'] or saved['id']!r} ({ids or saved['id']}) for this project; "
        "name one with restore_net_id"
    )


def _alike(flavor: Object, saved: Facts) -> bool:
    """Whether a listed flavor is the one that a server embeds, as far as names and sizes tell."""
    return flavor["name"] == saved["original_name"] and all(flavor[key] == saved[key] for key in FLAVOR_SIZES)
