"""Loses an application completely, and knows what a project holds."""

from __future__ import annotations

from karbor.cloud.blockstorage import SNAPSHOT, VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.images import IMAGE
from karbor.cloud.kind import Kind, Object
from karbor.cloud.networks import FLOATING_IP, NETWORK, PORT, ROUTER, ROUTER_INTERFACE, SECURITY_GROUP, SUBNET
from karbor.cloud.servers import KEYPAIR, SERVER, SERVER_GROUP
from karbor.demo import waits
from karbor.demo.application import Application

ORDER: tuple[Kind, ...] = (
    FLOATING_IP, SERVER, VOLUME, PORT, ROUTER_INTERFACE, ROUTER, NETWORK, SECURITY_GROUP, SERVER_GROUP, KEYPAIR, IMAGE,
)  # fmt: skip
"""Each before what it holds. Subnets go with their network."""
HELD: tuple[Kind, ...] = (
    SERVER, VOLUME, SNAPSHOT, IMAGE, FLOATING_IP, PORT, ROUTER, NETWORK, SUBNET, SECURITY_GROUP, SERVER_GROUP, KEYPAIR,
)  # fmt: skip
"""Kinds of which an application consists. Backups are not among them: they belong to checkpoints."""


def destroy(cloud: Cloud, app: Application) -> None:
    """Delete everything that belongs to the application, and wait until all of it is gone; gone already is good."""
    for kind in ORDER:
        ids = app.of(kind).values()
        if kind is ROUTER_INTERFACE:  # an interface cannot go while a route leads over it
            for id in app.of(ROUTER).values():
                if router := ROUTER.get(cloud, id):
                    ROUTER.remove_routes(cloud, id=id, routes=router["routes"])
        waits.removed(cloud, kind, ids)


def holdings(cloud: Cloud) -> dict[str, str]:
    """What the project holds: a few words for each id. What the cloud keeps there by itself is left out."""
    return {
        str(obj["id"]): f"{kind.name} {obj.get('name') or obj['id']}"
        for kind in HELD
        for obj in kind.list(cloud)
        if not _of_the_cloud(kind, obj)
    }


def _of_the_cloud(kind: Kind, obj: Object) -> bool:
    """The group `default`, which nobody can delete, and the ports that Neutron makes for its agents."""
    if kind is SECURITY_GROUP:
        return bool(obj["name"] == "default")
    return kind is PORT and obj["device_owner"] in ("network:dhcp", "network:distributed")
