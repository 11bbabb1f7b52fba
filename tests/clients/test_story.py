"""Both command lines of python-karborclient tell the whole story: protect, verify, lose, restore, schedule, delete."""

from __future__ import annotations

import json
import uuid
from typing import Any

from command_lines import CommandLine

from karbor.cloud.connection import Cloud
from karbor.cloud.servers import SERVER
from karbor.demo.application import Application
from karbor.demo.destroy import destroy
from karbor.providers import NOOP, OS_INFRA

SERVERS = "OS::Nova::Server"


def names(cloud: Cloud) -> set[str]:
    return {str(server["name"]) for server in SERVER.list(cloud)}


def parsed(value: Any) -> Any:
    """A value that a client prints as JSON text, or has parsed already."""
    return json.loads(value) if isinstance(value, str) else value


def test_the_whole_story(client: CommandLine, karbor: CommandLine, cloud: Cloud, app: Application) -> None:
    servers = app.of(SERVER)
    assert {row["id"] for row in client.list("provider list")} == {OS_INFRA, NOOP}
    assert client.show("provider show", OS_INFRA)["name"] == "OS Infra"
    types = {row["protectable_type"] for row in client.list("protectable list")}
    assert {SERVERS, "OS::Cinder::Volume", "OS::Glance::Image", "OS::Neutron::Network"} <= types
    found = {row["id"] for row in client.list("protectable instance list", SERVERS)}
    assert set(servers.values()) <= found
    shown = client.show("protectable instance show", SERVERS, servers["web"])
    assert app["web-data"] in str(shown["dependent_resources"])

    title = f"shop {uuid.uuid4().hex[:8]}"
    resources = ",".join(f"{id}={SERVERS}={name}" for name, id in servers.items())
    plan = client.show("plan create", title, OS_INFRA, resources, "--description", "Both servers")
    assert (plan["name"], plan["status"], plan["provider_id"]) == (title, "suspended", OS_INFRA)
    assert client.show("plan update", plan["id"], "--name", f"{title}!")["name"] == f"{title}!"
    assert [row["name"] for row in client.list("plan list") if row["id"] == plan["id"]] == [f"{title}!"]
    assert client.show("plan show", plan["id"])["description"] == "Both servers"

    made = client.show("checkpoint create", OS_INFRA, plan["id"], "--extra_info", "reason=release")
    checkpoint = made["id"]
    ready = client.until(lambda row: row["status"] != "protecting", "checkpoint show", OS_INFRA, checkpoint)
    assert ready["status"] == "available"
    assert parsed(ready["extra_info"])["reason"] == "release"
    assert all(id in str(ready["resource_graph"]) for id in (*servers.values(), app["db-root"]))
    listed = client.list("checkpoint list", OS_INFRA, "--plan_id", plan["id"])
    assert [(row["id"], row["status"]) for row in listed] == [(checkpoint, "available")]

    verification = client.show("verification create", OS_INFRA, checkpoint)["id"]
    verified = client.until(lambda row: row["status"] != "in_progress", "verification show", verification)
    assert verified["status"] == "success"
    assert verification in {row["id"] for row in client.list("verification list")}

    destroy(cloud, app)
    assert names(cloud) == set()
    restore = client.show("restore create", OS_INFRA, checkpoint)["id"]
    restored = client.until(lambda row: row["status"] != "in_progress", "restore show", restore)
    assert restored["status"] == "success"
    assert names(cloud) == {"web", "db"}
    assert restore in {row["id"] for row in client.list("restore list")}

    logs = {row["operation_type"]: row for row in client.list("operationlog list")}
    assert {"protect", "verify", "restore"} <= set(logs)
    assert client.show("operationlog show", logs["restore"]["id"])["status"] == "success"

    _schedule(client, karbor, plan["id"])

    client.run("checkpoint delete", OS_INFRA, checkpoint)
    client.until(lambda row: row["status"] == "deleted", "checkpoint show", OS_INFRA, checkpoint)
    assert client.list("checkpoint list", OS_INFRA, "--plan_id", plan["id"]) == []
    client.run("plan delete", plan["id"])
    assert plan["id"] not in {row["id"] for row in client.list("plan list")}


def _schedule(client: CommandLine, karbor: CommandLine, plan: str) -> None:
    """A trigger, an operation that it starts, and both go again.

    `openstack data protection trigger create` breaks in the client itself, so the other one makes the trigger.
    """
    rule = "BEGIN:VEVENT\\nRRULE:FREQ=DAILY;INTERVAL=1\\nEND:VEVENT"
    trigger = karbor.show("trigger create", "nightly", "time", f"format=calendar,pattern={rule}")["id"]
    assert client.show("trigger show", trigger)["name"] == "nightly"
    assert trigger in {row["id"] for row in client.list("trigger list")}
    definition = f"provider_id={OS_INFRA},plan_id={plan}"
    operation = client.show("scheduledoperation create", "every night", "protect", trigger, definition)["id"]
    shown = client.show("scheduledoperation show", operation)
    assert (shown["operation_type"], shown["trigger_id"]) == ("protect", trigger)
    assert operation in {row["id"] for row in client.list("scheduledoperation list")}
    assert client.attempt("trigger delete", trigger).returncode != 0  # it is used
    client.run("scheduledoperation delete", operation)
    client.run("trigger delete", trigger)
    assert trigger not in {row["id"] for row in client.list("trigger list")}


def test_what_is_wrong_is_told(client: CommandLine, words: str) -> None:
    refused = client.attempt("plan show", "no-uuid")
    assert refused.returncode != 0
    told = {"karbor": "HTTP 400", "openstack": "No plan with a name or ID of 'no-uuid' exists."}
    assert told[words] in refused.stdout + refused.stderr
    refused = client.attempt("checkpoint show", OS_INFRA, str(uuid.uuid4()))
    assert refused.returncode != 0
    assert "HTTP 404" in refused.stdout + refused.stderr


def test_administration(client: CommandLine, admin: CommandLine, cloud: Cloud) -> None:
    services = {row["binary"]: row for row in admin.list("service list")}
    assert set(services) == {"karbor-protection", "karbor-operationengine"}
    assert {row["state"] for row in services.values()} == {"up"}
    assert client.attempt("service list").returncode != 0
    assert "50" in client.run("quotas show", "--tenant", cloud.project_id)
