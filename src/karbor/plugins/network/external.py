"""External networks: an operator's, so they are looked up in the target by id, then by name, and never made."""

from __future__ import annotations

from karbor.cloud.connection import Cloud
from karbor.cloud.networks import NETWORK
from karbor.model.errors import Blocked

EXTERNAL = "router:external"


def external_network(id: str, name: str, cloud: Cloud) -> str:
    """The id of the external network that has this id, else of the only one that has this name.

    An empty `name` is no name. Raises Blocked when there is none, or more than one.
    """
    same = NETWORK.get(cloud, id)
    if same and same.get(EXTERNAL):
        return id
    all_external = cloud.pages("network", "/networks", "networks", params={EXTERNAL: True})
    found = [str(each["id"]) for each in all_external if each.get(EXTERNAL) and name and each["name"] == name]
    if len(found) == 1:
        return found[0]
    what = f"external network {name or id!r} ({id})"
    if found:
        raise Blocked(f"cloud {cloud.name!r} has more than one {what}: {', '.join(found)}; name one by its id")
    raise Blocked(f"cloud {cloud.name!r} has no {what} for this project; name another one")
