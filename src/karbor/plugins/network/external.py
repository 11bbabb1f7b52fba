"""External networks: an operator's, so they are looked up in the target by id, then by name, and never made."""

from __future__ import annotations

from karbor.cloud.connection import Cloud
from karbor.cloud.networks import NETWORK, ROUTER
from karbor.model.errors import Blocked

EXTERNAL = "router:external"
WAY_OUT = "way out"
"""What a router chooses under this key says where it leads when it is complete: from which saved `subnets` to which
external `network`, if any. The floating IPs of servers ask for it."""
ELSEWHERE = "restore into a cloud that has, or only the parts that do without, with --resource"


def external_network(id: str, name: str, cloud: Cloud) -> str:
    """The id of the external network that has this id, else of the only one that has this name.

    An empty `name` is no name. Raises Blocked when there is none, or more than one.
    """
    same = NETWORK.get(cloud, id)
    if same and same.get(EXTERNAL):
        return id
    listed = cloud.pages("network", "/networks", "networks", params={EXTERNAL: True})
    there = {str(each["id"]): each["name"] for each in listed if each.get(EXTERNAL)}
    found = [each for each in there if name and there[each] == name]
    if len(found) == 1:
        return found[0]
    what = f"external network {name or id!r} ({id})"
    if found:
        raise Blocked(f"cloud {cloud.name!r} has more than one {what}: {', '.join(found)}; name one by its id")
    others = ", ".join(f"{there[each]} ({each})" for each in there)
    way_out = f"name one of {others} with the option public_network_id" if there else f"it has none at all; {ELSEWHERE}"
    raise Blocked(f"cloud {cloud.name!r} has no {what} for this project; {way_out}")


def check_routers(cloud: Cloud) -> None:
    """Raises Blocked where this cloud has no routers and floating IPs at all."""
    if not ROUTER.offered(cloud):
        raise Blocked(f"the network service of cloud {cloud.name!r} has no routers and no floating IPs; {ELSEWHERE}")
