"""The story that the command lines of Karbor v1 tell on any cloud: protect, verify, lose, restore, schedule, delete."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta
from typing import Any

from command_lines import CommandLine

from karbor import clock
from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.servers import SERVER
from karbor.demo import waits
from karbor.demo.application import Application
from karbor.demo.destroy import destroy
from karbor.model.errors import DeadlineExceeded
from karbor.providers import NOOP, OS_INFRA

SERVERS = "OS::Nova::Server"
AHEAD = 15
"""Seconds that a schedule is set ahead at first; one command has to be over by then."""
LATE = 60.0
"""For so long a firing is waited for that was perhaps set too late, until another is set."""


class Story:
    """The chapters, told by `client` about an application; each may be told once, in this order.

    `karbor` is the older command line in the same hands: `openstack data protection trigger create` breaks in the
    client itself.
    """

    def __init__(self, client: CommandLine, karbor: CommandLine, cloud: Cloud, app: Application) -> None:
        self._client, self._karbor, self._cloud, self._app = client, karbor, cloud, app
        self._names = {str((SERVER.get(cloud, id) or {})["name"]) for id in app.of(SERVER).values()}
        self._at_first = trusts(cloud)
        self.plan = self.checkpoint = self.scheduled = ""

    def look(self, server: str, volume: str) -> None:
        """Providers, types, and that this server, given by its role, needs this volume."""
        client = self._client
        assert {row["id"] for row in client.list("provider list")} == {OS_INFRA, NOOP}
        assert client.show("provider show", OS_INFRA)["name"] == "OS Infra"
        types = {row["protectable_type"] for row in client.list("protectable list")}
        assert {SERVERS, "OS::Cinder::Volume", "OS::Glance::Image", "OS::Neutron::Network"} <= types
        found = {row["id"] for row in client.list("protectable instance list", SERVERS)}
        assert set(self._app.of(SERVER).values()) <= found
        shown = client.show("protectable instance show", SERVERS, self._app[server])
        assert self._app[volume] in str(shown["dependent_resources"])

    def make_a_plan(self) -> None:
        client, title = self._client, f"shop {uuid.uuid4().hex[:8]}"
        resources = ",".join(f"{id}={SERVERS}={name}" for name, id in self._living().items())
        plan = client.show("plan create", title, OS_INFRA, resources, "--description", "All servers")
        assert (plan["name"], plan["status"], plan["provider_id"]) == (title, "suspended", OS_INFRA)
        self.plan = plan["id"]
        assert client.show("plan update", self.plan, "--name", f"{title}!")["name"] == f"{title}!"
        assert [row["name"] for row in client.list("plan list") if row["id"] == self.plan] == [f"{title}!"]
        assert client.show("plan show", self.plan)["description"] == "All servers"

    def protect(self) -> None:
        client = self._client
        made = client.show("checkpoint create", OS_INFRA, self.plan, "--extra_info", "reason=release")
        self.checkpoint = made["id"]
        ready = self._available(self.checkpoint)
        assert parsed(ready["extra_info"])["reason"] == "release"
        ids = [id for kind in (SERVER, VOLUME) for id in self._app.of(kind).values()]
        assert all(id in str(ready["resource_graph"]) for id in ids)
        assert self._checkpoints() == {self.checkpoint: "available"}

    def verify(self) -> None:
        client = self._client
        id = client.show("verification create", OS_INFRA, self.checkpoint)["id"]
        verified = client.until(lambda row: row["status"] != "in_progress", "verification show", id)
        assert verified["status"] == "success"
        assert id in {row["id"] for row in client.list("verification list")}

    def lose_and_restore(self) -> str:
        """The restore's id; what there is afterwards is all new."""
        client = self._client
        destroy(self._cloud, self._app)
        assert not self._living()
        id = client.show("restore create", OS_INFRA, self.checkpoint)["id"]
        restored = client.until(lambda row: row["status"] != "in_progress", "restore show", id)
        assert restored["status"] == "success"
        assert set(self._living()) == self._names
        assert id in {row["id"] for row in client.list("restore list")}
        logs = {row["operation_type"]: row for row in client.list("operationlog list")}
        assert {"protect", "verify", "restore"} <= set(logs)
        assert client.show("operationlog show", logs["restore"]["id"])["status"] == "success"
        return str(id)

    def schedule(self) -> None:
        """A trigger fires once and its operation protects, with a trust that lives as long as the operation does.

        What it protects are the restored servers, so the plan is told of them first.
        """
        client, karbor = self._client, self._karbor
        restored = ",".join(f"{id}={SERVERS}={name}" for name, id in self._living().items())
        client.run("plan update", self.plan, "--resources", restored)
        rule = "format=calendar,pattern=BEGIN:VEVENT\\nRRULE:FREQ=DAILY;INTERVAL=1\\nEND:VEVENT"
        trigger = karbor.show("trigger create", "nightly", "time", rule)["id"]
        assert client.show("trigger show", trigger)["name"] == "nightly"
        assert trigger in {row["id"] for row in client.list("trigger list")}
        before = trusts(self._cloud)
        definition = f"provider_id={OS_INFRA},plan_id={self.plan}"
        operation = client.show("scheduledoperation create", "every night", "protect", trigger, definition)["id"]
        (trust,) = trusts(self._cloud) - before
        shown = client.show("scheduledoperation show", operation)
        assert (shown["operation_type"], shown["trigger_id"]) == ("protect", trigger)
        assert operation in {row["id"] for row in client.list("scheduledoperation list")}

        ahead = AHEAD
        while not self._fires(trigger, rule, ahead):
            ahead *= 2
        (self.scheduled,) = set(self._checkpoints()) - {self.checkpoint}
        assert parsed(self._available(self.scheduled)["extra_info"])["created_by"] == "operation-engine"

        assert client.attempt("trigger delete", trigger).returncode != 0  # it is used
        assert trust in trusts(self._cloud)
        client.run("scheduledoperation delete", operation)
        # At once, unless the run ends only now: a checkpoint is available a moment before.
        waits.until("the schedule's trust is given back", lambda: trust not in trusts(self._cloud))
        client.run("trigger delete", trigger)
        assert trigger not in {row["id"] for row in client.list("trigger list")}

    def _fires(self, trigger: str, rule: str, ahead: int) -> bool:
        """Have the trigger fire in so many seconds. False where the command took longer: then its day is tomorrow."""
        soon = datetime.fromisoformat(clock.now()).replace(microsecond=0) + timedelta(seconds=ahead)
        self._karbor.run("trigger update", trigger, "--properties", f"{rule},start_time={soon:%Y-%m-%d %H:%M:%S}")
        in_time = datetime.fromisoformat(clock.now()) < soon
        try:
            waits.until(
                "the trigger has fired", lambda: len(self._checkpoints()) == 2, waits.PATIENCE if in_time else LATE
            )
        except DeadlineExceeded:
            if in_time:
                raise
            return False
        return True

    def delete(self) -> None:
        """Afterwards Keystone has none of the trusts any more that all this has taken."""
        client = self._client
        for checkpoint in (self.scheduled, self.checkpoint):
            client.run("checkpoint delete", OS_INFRA, checkpoint)
            client.until(lambda row: row["status"] == "deleted", "checkpoint show", OS_INFRA, checkpoint)
        assert self._checkpoints() == {}
        client.run("plan delete", self.plan)
        assert self.plan not in {row["id"] for row in client.list("plan list")}
        waits.until("all trusts are given back", lambda: trusts(self._cloud) == self._at_first)

    def _available(self, checkpoint: str) -> dict[str, Any]:
        """The checkpoint as soon as it has ended, which has to be well."""
        shown = self._client.until(lambda row: row["status"] != "protecting", "checkpoint show", OS_INFRA, checkpoint)
        assert shown["status"] == "available", shown
        return shown

    def _checkpoints(self) -> dict[str, str]:
        """The states of the plan's checkpoints."""
        listed = self._client.list("checkpoint list", OS_INFRA, "--plan_id", self.plan)
        return {row["id"]: row["status"] for row in listed}

    def _living(self) -> dict[str, str]:
        """Those of its servers that are there: their ids by name."""
        there = {str(server["name"]): str(server["id"]) for server in SERVER.list(self._cloud)}
        return {name: id for name, id in there.items() if name in self._names}


def trusts(cloud: Cloud) -> set[str]:
    """The ids of the trusts that the member has given."""
    found = cloud.get("identity", "/OS-TRUST/trusts", params={"trustor_user_id": cloud.user_id})["trusts"]
    return {str(trust["id"]) for trust in found}


def parsed(value: Any) -> Any:
    """A value that a client prints as JSON text, or has parsed already."""
    return json.loads(value) if isinstance(value, str) else value
