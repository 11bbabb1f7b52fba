"""What a server has got since its graph was made: nobody saves that, and the server could not come back without it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.inventory import Inventory
from karbor.cloud.kind import Object
from karbor.cloud.networks import NETWORK, SECURITY_GROUP
from karbor.cloud.servers import KEYPAIR, SERVER_GROUP
from karbor.model.errors import NotFound
from karbor.model.resource import Ref
from karbor.plugins.keypair.discover import KeyPairs
from karbor.plugins.network.discover import Networks
from karbor.plugins.security_group.discover import SecurityGroups
from karbor.plugins.server.facts import Facts
from karbor.plugins.server_group.discover import ServerGroups
from karbor.plugins.surroundings import Surroundings

DISCOVERED: dict[str, Surroundings] = {
    each.type: each for each in (Networks(), SecurityGroups(), KeyPairs(), ServerGroups())
}


def latecomers(
    cloud: Cloud, server: Object, volumes: Iterable[Facts], ports: Sequence[Object], known: Collection[Ref]
) -> list[Ref]:
    """What the server needs and is not `known`; `ports` are those of its ports that are the project's.

    Only that is asked for in the cloud which is not known: mostly what other projects share, and that is no latecomer.
    """
    inventory = Inventory(cloud)
    needed = dict.fromkeys((*volumes_of(volumes), *_surroundings(cloud, server, ports)))
    return [ref for ref in needed if ref not in known and _is_discovered(inventory, ref)]


def volumes_of(volumes: Iterable[Facts]) -> Iterator[Ref]:
    """The volumes that a server has according to its facts."""
    return (Ref(VOLUME.type, volume["id"]) for volume in volumes)


def _surroundings(cloud: Cloud, server: Object, ports: Iterable[Object]) -> Iterator[Ref]:
    for port in ports:
        yield Ref(NETWORK.type, port["network_id"])
        yield from (Ref(SECURITY_GROUP.type, id) for id in port["security_groups"])
    yield from (Ref(SERVER_GROUP.type, id) for id in server.get("server_groups") or ())
    if server.get("key_name") and server.get("user_id") == cloud.user_id:
        yield Ref(KEYPAIR.type, server["key_name"])


def _is_discovered(inventory: Inventory, ref: Ref) -> bool:
    """Whether a graph that is made now would have it: a volume always, of the others what is the project's own."""
    if ref.type == VOLUME.type:
        return True
    try:
        DISCOVERED[ref.type].one(inventory, ref.id)
    except NotFound:
        return False
    return True
