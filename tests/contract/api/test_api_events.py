"""What is told to other services: a real listener of oslo.messaging hears each event, and nothing besides."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest
from api_client import NOOP, OS_INFRA, PATIENCE, UNKNOWN, Api, Client, Reply, plan_body
from message_bus import Heard, listening

from karbor import config, notifier
from karbor.api import policy
from karbor.api.app import make_app
from karbor.api.service import Service
from karbor.cloud.networks import NETWORK
from karbor.serving.http import Server
from karbor.testing.rig import Rig

CHECKPOINTS = f"/providers/{NOOP}/checkpoints"
TRIGGER = {"name": "at night", "type": "time", "properties": {"format": "crontab", "pattern": "0 3 * * *"}}
SECRET = "the password of another cloud"


@pytest.fixture(scope="module")
def heard(api: Api) -> Iterator[Heard]:
    with listening("fake:///", "karbor_notifications") as heard:
        yield heard


def of(heard: Heard, reply: Reply, count: int = 2) -> list[tuple[str, dict[str, Any]]]:
    """What was told of one request."""
    id = reply.headers["X-Openstack-Request-Id"]
    return heard.until(lambda _, payload: payload.get("request_id") == id, count)


def ended(heard: Heard, reply: Reply, event: str, **facts: Any) -> dict[str, Any]:
    """A request that went well: exactly two events, both with these facts; the payload of the last one."""
    reply.ok()
    (start, begun), (end, done) = of(heard, reply)
    assert (start, end) == (f"karbor.{event}.start", f"karbor.{event}.end")
    assert facts.items() <= begun.items() and facts.items() <= done.items()
    assert begun["client_ip"] == done["client_ip"] == "127.0.0.1"
    return done


def refused(heard: Heard, reply: Reply, event: str, status: int, words: str) -> dict[str, Any]:
    """A request that did not go well."""
    assert reply.status == status, reply.text
    (start, _), (error, told) = of(heard, reply)
    assert (start, error) == (f"karbor.{event}.start", f"karbor.{event}.error")
    assert words in told["message"] and told["exception"]
    return told


def test_plans(member: Client, heard: Heard) -> None:
    mine = {"tenant_id": member.project_id, "user_id": member.user_id}
    body = plan_body()
    made = member.post("/plans", body)
    id = made.ok("plan")["id"]
    assert ended(heard, made, "plan_create", name="nightly", parameters={}, **mine)["id"] == id
    ended(heard, member.put(f"/plans/{id}", {"plan": {"status": "started"}}), "plan_update", id=id, **mine)
    wrong = member.put(f"/plans/{id}", {"plan": {"name": "other"}})
    refused(heard, wrong, "plan_update", 400, "set its status to suspended")
    ended(heard, member.delete(f"/plans/{id}"), "plan_delete", id=id, **mine)


def test_triggers_and_scheduled_operations(member: Client, heard: Heard, plan: str) -> None:
    made = member.post("/triggers", {"trigger_info": TRIGGER})
    trigger = made.ok("trigger_info")["id"]
    told = ended(heard, made, "trigger_create", name="at night")
    assert told["id"] == trigger and told["parameters"]["pattern"] == "0 3 * * *"
    ended(heard, member.put(f"/triggers/{trigger}", {"trigger_info": {"name": "x"}}), "trigger_update", id=trigger)
    definition = {"provider_id": NOOP, "plan_id": plan}
    wanted = {
        "name": "nightly", "operation_type": "protect", "trigger_id": trigger, "operation_definition": definition
    }  # fmt: skip
    made = member.post("/scheduled_operations", {"scheduled_operation": wanted})
    id = made.ok("scheduled_operation")["id"]
    told = ended(heard, made, "scheduled_operation_create")
    assert told["id"] == id and wanted.items() <= told["operation_obj"].items()
    refused(heard, member.delete(f"/triggers/{trigger}"), "trigger_delete", 424, id)
    refused(heard, member.delete(f"/plans/{plan}"), "plan_delete", 409, id)
    ended(heard, member.delete(f"/scheduled_operations/{id}"), "scheduled_operation_delete", id=id)
    ended(heard, member.delete(f"/triggers/{trigger}"), "trigger_delete", id=trigger)


def test_a_trigger_that_goes_while_something_is_put_on_it(member: Client, rig: Rig, heard: Heard, plan: str) -> None:
    """Keystone does not answer for a moment, between the look at the trigger and its use."""
    trigger = member.post("/triggers", {"trigger_info": TRIGGER}).ok("trigger_info")["id"]
    definition = {"provider_id": NOOP, "plan_id": plan}
    wanted = {
        "name": f"on {trigger}", "operation_type": "protect", "trigger_id": trigger, "operation_definition": definition
    }  # fmt: skip
    trusts = set(rig.sandbox.state.table("trust"))
    with ThreadPoolExecutor(1) as other:
        with rig.sandbox.state.lock:
            asked = other.submit(member.post, "/scheduled_operations", {"scheduled_operation": wanted})
            heard.until(lambda _, payload: payload.get("operation_obj", {}).get("name") == wanted["name"], 1)
            client = Client(member.url, member.project_id, member.user_id, member.token)
            client.delete(f"/triggers/{trigger}").ok()
        reply = asked.result()
    refused(heard, reply, "scheduled_operation_create", 404, f"there is no trigger {trigger}")
    assert set(rig.sandbox.state.table("trust")) <= trusts, "what was delegated for it has been taken back"


def test_checkpoints_restores_and_the_end_of_their_work(member: Client, admin: Client, heard: Heard, plan: str) -> None:
    made = member.post(CHECKPOINTS, {"checkpoint": {"plan_id": plan, "extra_info": {"why": "test"}}})
    id = made.ok("checkpoint")["id"]
    told = ended(heard, made, "checkpoint_create")
    assert told["checkpoint_id"] == id
    properties = told["checkpoint_properties"]
    assert (properties["protection_plan"]["id"], properties["extra_info"]) == (plan, {"why": "test"})
    work = heard.rest("protect", checkpoint_id=id)
    assert (work["event"], work["status"], work["message"]) == ("karbor.protect.end", "available", "")
    assert (work["tenant_id"], work["user_id"], work["plan_id"]) == (member.project_id, member.user_id, plan)
    assert member.get(f"{CHECKPOINTS}/{id}").ok("checkpoint")["status"] == "available"

    reset = admin.put(f"{CHECKPOINTS}/{id}", {"os-resetState": {"state": "available"}})
    ended(heard, reset, "checkpoint_update", checkpoint_id=id, state="available")
    run = {"provider_id": NOOP, "checkpoint_id": id, "parameters": {}}
    made = member.post("/restores", {"restore": run})
    restore = made.ok("restore")["id"]
    told = ended(heard, made, "restore_create", parameters={}, checkpoint_id=id)
    assert told["id"] == restore
    assert heard.rest("restore", operation_id=restore)["event"] == "karbor.restore.end"
    ended(heard, member.delete(f"/restores/{restore}"), "restore_delete", id=restore)

    gone = member.delete(f"{CHECKPOINTS}/{id}")
    ended(heard, gone, "checkpoint_delete", checkpoint_id=id)
    assert heard.rest("delete", checkpoint_id=id)["event"] == "karbor.delete.end"
    refused(heard, member.delete(f"{CHECKPOINTS}/{id}"), "checkpoint_delete", 400, "cannot be deleted")
    wrong = admin.put(f"{CHECKPOINTS}/{id}", {"os-resetState": {"state": "available"}})
    refused(heard, wrong, "checkpoint_update", 400, "is deleted")


def test_verifications_and_copies(member: Client, rig: Rig, heard: Heard) -> None:
    assert member.cloud is not None
    network = NETWORK.post(member.cloud, {"name": "front"})
    body = plan_body(("OS::Neutron::Network", network, "front"), provider_id=OS_INFRA)
    plan = member.post("/plans", body).ok("plan")["id"]
    path = f"/providers/{OS_INFRA}/checkpoints"
    id = member.post(path, {"checkpoint": {"plan_id": plan}}).ok("checkpoint")["id"]
    member.ended(f"{path}/{id}", "checkpoint")
    run = {"provider_id": OS_INFRA, "checkpoint_id": id, "parameters": {}}
    verification = member.post("/verifications", {"verification": run}).ok("verification")["id"]
    assert heard.rest("verify", operation_id=verification)["event"] == "karbor.verify.end"
    wanted = {"copy": {"plan_id": plan, "parameters": {}}}
    (pair,) = member.post(f"{path}/action", wanted).ok("copy")["checkpoint_id"]
    assert heard.rest("copy", checkpoint_id=pair["checkpoint_copy_id"])["event"] == "karbor.copy.end"
    unable = {**run, "provider_id": NOOP}
    verification = member.post("/verifications", {"verification": unable}).ok("verification")["id"]
    assert heard.rest("verify", operation_id=verification)["event"] == "karbor.verify.error"
    member.delete(f"/plans/{plan}").ok()
    rig.lose(NETWORK, network)


def test_work_that_fails_is_told_with_its_reason(member: Client, rig: Rig, heard: Heard) -> None:
    assert member.cloud is not None
    network = NETWORK.post(member.cloud, {"name": "front"})
    gone = plan_body(("OS::Neutron::Network", UNKNOWN, "gone"), ("OS::Neutron::Network", network, "front"),
                     provider_id=OS_INFRA)  # fmt: skip
    plan = member.post("/plans", gone).ok("plan")["id"]
    path = f"/providers/{OS_INFRA}/checkpoints"
    id = member.post(path, {"checkpoint": {"plan_id": plan}}).ok("checkpoint")["id"]
    told = heard.rest("protect", checkpoint_id=id)
    assert (told["event"], told["status"], told["phase"]) == ("karbor.protect.error", "error", "ended")
    assert UNKNOWN in told["message"]
    member.delete(f"/plans/{plan}").ok()
    rig.lose(NETWORK, network)


def test_a_restore_that_has_to_wait_or_cannot_be_done(
    member: Client, heard: Heard, plan: str, disabled: Callable[[], AbstractContextManager[None]]
) -> None:
    run = {"provider_id": NOOP, "checkpoint_id": UNKNOWN, "parameters": {}}
    told = ended(heard, member.post("/restores", {"restore": run}), "restore_create")
    assert told["status"] == "fail"
    assert heard.rest("restore", operation_id=told["id"])["event"] == "karbor.restore.error"
    id = member.post(CHECKPOINTS, {"checkpoint": {"plan_id": plan}}).ok("checkpoint")["id"]
    member.ended(f"{CHECKPOINTS}/{id}", "checkpoint")
    with disabled():
        restore = member.post("/restores", {"restore": {**run, "checkpoint_id": id}}).ok("restore")["id"]
        refused(heard, member.delete(f"/restores/{restore}"), "restore_delete", 409, "has not ended")


def test_no_secret_is_told(member: Client, heard: Heard, elsewhere: str, plan: str) -> None:
    """Of a login to another cloud, of an application credential, and of tokens."""
    assert member.cloud is not None
    id = member.post(CHECKPOINTS, {"checkpoint": {"plan_id": plan}}).ok("checkpoint")["id"]
    member.ended(f"{CHECKPOINTS}/{id}", "checkpoint")
    login = {"type": "password", "username": "nobody", "password": SECRET}
    run = {"provider_id": NOOP, "checkpoint_id": id, "parameters": {}, "restore_target": elsewhere}
    made = member.post("/restores", {"restore": {**run, "restore_auth": login}})
    ended(heard, made, "restore_create")
    told = heard.rest("restore", operation_id=made.ok("restore")["id"])
    assert (told["event"], told["status"]) == ("karbor.restore.error", "needs credentials")
    trigger = member.post("/triggers", {"trigger_info": TRIGGER}).ok("trigger_info")["id"]
    wanted = {
        "name": "n", "operation_type": "protect", "trigger_id": trigger,
        "operation_definition": {"provider_id": NOOP, "plan_id": plan},
        "credential": {"id": UNKNOWN, "secret": SECRET},
    }  # fmt: skip
    refused(heard, member.post("/scheduled_operations", {"scheduled_operation": wanted}),
            "scheduled_operation_create", 400, "does not let this application credential in")  # fmt: skip
    said = json.dumps(heard.events)
    assert SECRET not in said and member.token not in said and "gAAAA" not in said


def test_what_is_anothers_or_nonsense_is_not_told(member: Client, stranger: Client, heard: Heard, plan: str) -> None:
    replies = [
        stranger.delete(f"/plans/{plan}"),
        stranger.put(f"/plans/{plan}", {"plan": {"name": "mine"}}),
        stranger.post(CHECKPOINTS, {"checkpoint": {"plan_id": plan}}),
        member.post("/plans", plan_body(name="")),
        member.delete(f"/plans/{UNKNOWN}"),
        member.get("/plans"),
        Client(member.url, member.project_id, "", "no token").delete(f"/plans/{plan}"),
        Client(member.url, member.project_id, "", stranger.token).delete(f"/plans/{plan}"),
    ]
    last = member.delete(f"/plans/{plan}")  # what is heard of it came after all that could have been told of the others
    ended(heard, last, "plan_delete", id=plan)
    ids = {reply.headers["X-Openstack-Request-Id"] for reply in replies}
    assert [event for event in heard.events if event[1].get("request_id") in ids] == []
    assert [reply.status for reply in replies] == [404, 404, 404, 400, 404, 200, 401, 400]


def test_a_bus_that_is_down_neither_fails_nor_delays_a_request(
    service: Service, settings: object, member: Client, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name in notifier.LIBRARY:  # its tracebacks are no business of the service's log, which has a word of its own
        monkeypatch.setattr(logging.getLogger(name), "propagate", False)
    held = socket.socket()  # nobody listens on it, nor can
    held.bind(("127.0.0.1", 0))
    address = f"rabbit://me:{SECRET.replace(' ', '')}@127.0.0.1:{held.getsockname()[1]}/"
    down = config.settings([], {notifier.SECTION: {"driver": ["messagingv2"], "transport_url": address}})
    found = notifier.connected(down)
    assert found is not None
    app = make_app(
        replace(service, notify=found), identity=config.identity(settings), enforcer=policy.make_enforcer(settings)
    )
    server = Server(app, "127.0.0.1", 0, 2)
    server.start()
    client = Client(server.url, member.project_id, member.user_id, member.token)
    for _ in range(5):
        id = client.post("/plans", plan_body()).ok("plan")["id"]
        client.delete(f"/plans/{id}").ok()
    deadline = time.monotonic() + PATIENCE
    while found._queue.unfinished_tasks:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    server.stop()
    held.close()
    said = [record.getMessage() for record in caplog.records if record.name == "karbor.notifier"]
    (message,) = [text for text in said if "127.0.0.1:" in text]
    assert "do not reach the message bus" in message and "refused" in message
    assert SECRET.replace(" ", "") not in caplog.text
