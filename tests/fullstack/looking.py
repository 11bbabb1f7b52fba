"""Looks at an application on a cloud whose agents take their time, and what is different between two looks.

Neutron tells what its agents have done when they get round to it: a floating IP is DOWN until the agent of the routers
has been there, and a port that changes may be BUILD for a moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from karbor.cloud.connection import Cloud
from karbor.cloud.networks import FLOATING_IP, PORT, ROUTER_INTERFACE
from karbor.cloud.servers import SERVER
from karbor.demo import waits
from karbor.demo.application import Application
from karbor.demo.compare import DIFFERENT, Row, compare
from karbor.demo.describe import Description, describe
from karbor.model.errors import DeadlineExceeded

AGENT_SECONDS = 120.0
"""For so long the agents may leave a status as it was."""
AT_WORK = {FLOATING_IP.name, ROUTER_INTERFACE.name}
"""Kinds that are of use only when they are active, whatever their server does."""
OF_AGENTS = {*AT_WORK, PORT.name}
STATUSES = {"status", "port_details.status"}
"""Attributes of these kinds in which Neutron tells what an agent has done."""


def look(cloud: Cloud, app: Application) -> dict[str, Description]:
    """The application as it is when the agents have done what it was built for."""
    seen: dict[str, Description] = {}

    def has_settled() -> bool:
        seen.update(_describe(cloud, app))
        return all(_has_settled(thing) for thing in seen.values() if thing.kind in OF_AGENTS)

    waits.until("the agents of Neutron have seen to all floating IPs and ports", has_settled)
    return seen


def look_again(
    cloud: Cloud, app: Application, before: Mapping[str, Description], mapping: Mapping[str, str]
) -> dict[str, Description]:
    """The restored application, looked at again only while nothing is different but what the agents have to see to."""
    seen: dict[str, Description] = {}

    def has_settled() -> bool:
        seen.clear()
        seen.update(_describe(cloud, app))
        found = differences(before, seen, mapping)
        return not found or not all(row.kind in OF_AGENTS and row.attribute in STATUSES for row in found)

    with suppress(DeadlineExceeded):  # what is still different then is for the test to tell
        waits.until("the agents of Neutron have seen to what was restored", has_settled, AGENT_SECONDS)
    return seen


def differences(
    before: Mapping[str, Description], after: Mapping[str, Description], mapping: Mapping[str, str]
) -> list[Row]:
    """Where what a restore made of an application is not as it was."""
    return [row for row in compare(before, after, mapping) if row.outcome == DIFFERENT]


def _describe(cloud: Cloud, app: Application) -> dict[str, Description]:
    """The application, where a port whose server does not run has no status: nobody can tell which one it will keep.

    The agent of DHCP may be slower than that of the bridges: if it is done with a new port only when that has gone
    DOWN with its server, Neutron says ACTIVE for good.
    """
    seen = describe(cloud, app)
    resting = {each.id for each in seen.values() if each.kind == SERVER.name and each.attributes["status"] != "ACTIVE"}
    for role, each in seen.items():
        if each.kind == PORT.name and each.attributes["device_id"] in resting:
            kept = {name: value for name, value in each.attributes.items() if name != "status"}
            seen[role] = each._replace(attributes=kept)
    return seen


def _has_settled(thing: Description) -> bool:
    told = {thing.attributes[name] for name in STATUSES & thing.attributes.keys()}
    return "BUILD" not in told and (thing.kind not in AT_WORK or thing.attributes["status"] == "ACTIVE")
