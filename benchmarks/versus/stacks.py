"""The other side of the comparison: a stack of the same resources, its volumes from the same backups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from versus.shop import BOOT_ORDER, CIDR, DISKS, GATEWAY, RULES, Shop
from versus.timed import PATIENCE, Span, Timed, seconds

from karbor import clock
from karbor.cloud.connection import Cloud
from karbor.demo import waits
from karbor.model.errors import KarborError

SERVICE = "orchestration"
LOOK = 0.5
"""Seconds between two looks at a stack, which cost the cloud work."""


class Stacks:
    """Stacks of one shop. The service tells its times in whole seconds."""

    def __init__(self, cloud: Cloud, shop: Shop) -> None:
        self._cloud = cloud
        self._name = f"{shop.prefix}stack"

    def run(self, template: Mapping[str, Any]) -> Timed:
        """Create a stack, then delete it off the clock. Raises KarborError with the stack's own reasons."""
        began = clock.monotonic()
        wanted = {"stack_name": self._name, "template": template, "disable_rollback": True}
        id = self._ask("POST", "", wanted)["stack"]["id"]
        path = f"/{self._name}/{id}"
        while (stack := self._ask("GET", path)["stack"])["stack_status"] == "CREATE_IN_PROGRESS":
            if clock.monotonic() - began > PATIENCE:
                raise KarborError(f"stack {id} of cloud {self._cloud.name!r} is not complete after {PATIENCE} s")
            clock.sleep(LOOK)
        wall = clock.monotonic() - began
        events = self._ask("GET", f"{path}/events")["events"]
        if stack["stack_status"] != "CREATE_COMPLETE":
            reasons = [
                event["resource_status_reason"] for event in events if event["resource_status"] == "CREATE_FAILED"
            ]
            raise KarborError(f"stack {id} of cloud {self._cloud.name!r} failed: {'; '.join(reasons)}")
        timed = _record(stack["creation_time"], events, template, wall)
        self.leave()
        return timed

    def leave(self) -> None:
        """Delete what there is of the shop's stacks, and wait until they are gone."""
        waits.until(f"stack {self._name} of cloud {self._cloud.name!r} is gone", self._is_gone)

    def _is_gone(self) -> bool:
        ours = [stack for stack in self._ask("GET", "")["stacks"] if stack["stack_name"] == self._name]
        for stack in ours:
            if stack["stack_status"] != "DELETE_IN_PROGRESS":
                self._ask("DELETE", f"/{self._name}/{stack['id']}")
        return not ours

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        """The document of one call; of a stack that is gone an empty one. Raises KarborError in the service's words."""
        call = {} if body is None else {"json": body}
        answer = self._cloud.send(method, SERVICE, f"/stacks{path}", **call)
        if answer.status_code >= 300 and not (method == "DELETE" and answer.status_code == 404):
            raise KarborError(
                f"{method} /stacks{path} of cloud {self._cloud.name!r}: {answer.status_code} {answer.text}"
            )
        return answer.json() if answer.content else {}


def _record(created_at: str, events: Sequence[Mapping[str, Any]], template: Mapping[str, Any], wall: float) -> Timed:
    """A stack in the words of its events: each resource from its begin to its end."""
    times = {
        (event["resource_name"], event["resource_status"]): seconds(created_at, event["event_time"]) for event in events
    }
    spans = [
        Span(resource["type"], times[name, "CREATE_IN_PROGRESS"], times[name, "CREATE_COMPLETE"])
        for name, resource in template["resources"].items()
    ]
    return Timed(max(times.values()), wall, spans)


def template_of(shop: Shop, backups: Mapping[str, str]) -> dict[str, Any]:
    """The stack of a shop; `backups` holds the id of each volume's backup by the volume's name."""
    external = shop.ground.external_network_id
    resources = {
        "network": _resource("Neutron::Net", name=f"{shop.prefix}network"),
        "subnet": _resource(
            "Neutron::Subnet", name=f"{shop.prefix}subnet", network=_ref("network"), cidr=CIDR, gateway_ip=GATEWAY
        ),
        "router": _resource(
            "Neutron::Router", name=f"{shop.prefix}router", external_gateway_info={"network": external}
        ),
        "way-out": _resource("Neutron::RouterInterface", router=_ref("router"), subnet=_ref("subnet")),
        "group": _resource("Neutron::SecurityGroup", name=f"{shop.prefix}group", rules=RULES),
    }
    for number in range(shop.servers):
        for disk in DISKS:
            name = f"{disk}-{number}"
            resources[name] = _resource("Cinder::Volume", name=shop.prefix + name, backup_id=backups[name])
        resources[f"port-{number}"] = _resource(
            "Neutron::Port", name=f"{shop.prefix}port-{number}", network=_ref("network"),
            security_groups=[_ref("group")],
            fixed_ips=[{"subnet": _ref("subnet"), "ip_address": shop.address(number)}],
        )  # fmt: skip
        resources[f"address-{number}"] = _resource(
            "Neutron::FloatingIP", floating_network=external, port_id=_ref(f"port-{number}")
        )
        resources[f"server-{number}"] = _resource(
            "Nova::Server", name=f"{shop.prefix}server-{number}", flavor=shop.ground.flavor_id,
            availability_zone=shop.ground.zone, networks=[{"port": _ref(f"port-{number}")}],
            block_device_mapping_v2=[
                {"volume_id": _ref(f"{disk}-{number}"), "boot_index": index, "delete_on_termination": False}
                for disk, index in zip(DISKS, BOOT_ORDER, strict=True)
            ],
        )  # fmt: skip
    return {"heat_template_version": "2018-08-31", "resources": resources}


def _resource(type_: str, **properties: Any) -> dict[str, Any]:
    return {"type": f"OS::{type_}", "properties": properties}


def _ref(name: str) -> dict[str, str]:
    return {"get_resource": name}
