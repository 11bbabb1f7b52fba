"""The contract of `POST /providers/{id}/checkpoints/action`: copies of a plan's checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pytest
from api_client import NOOP, OS_INFRA, UNKNOWN, Api, Client, plan_body

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.images import IMAGE
from karbor.demo import disks

PATH = f"/providers/{OS_INFRA}/checkpoints"
ACTION = f"{PATH}/action"
DATA = b"some bytes " * 5000


@dataclass
class Album:
    """An image with its plan and an available checkpoint of it."""

    image: str
    plan: Any
    checkpoint: Any


@pytest.fixture(scope="module")
def album(api: Api) -> Iterator[Album]:
    client = api.client("sandbox")
    assert client.cloud is not None
    image = disks.queue_image(client.cloud, {"name": "base", "disk_format": "raw", "container_format": "bare"})
    client.cloud.upload(image, iter([DATA]))
    plan = client.post("/plans", plan_body((IMAGE.type, image, "base"), provider_id=OS_INFRA)).ok("plan")
    yield Album(image, plan, protected(client, plan["id"]))
    IMAGE.delete(client.cloud, image)


def protected(client: Client, plan_id: str) -> Any:
    """A new checkpoint of a plan, which has to be available."""
    id = client.post(PATH, {"checkpoint": {"plan_id": plan_id}}).ok("checkpoint")["id"]
    found = client.ended(f"{PATH}/{id}", "checkpoint")
    assert found["status"] == "available", found["reason"]
    return found


def copied(client: Client, plan_id: str, **more: Any) -> Any:
    return client.post(ACTION, {"copy": {"plan_id": plan_id, **more}}).ok("copy")


def ended(client: Client, id: str) -> Any:
    """A copy, once it stays as it is."""
    moving = ("wait_copying", "copying")
    return client.until(f"{PATH}/{id}", "checkpoint", lambda found: found["status"] not in moving)


def test_each_available_checkpoint_that_is_no_copy_is_copied(album: Album, member: Client) -> None:
    answer = copied(member, album.plan["id"], parameters={})
    (pair,) = answer.pop("checkpoint_id")
    assert answer == {
        "project_id": member.project_id, "provider_id": OS_INFRA, "plan_id": album.plan["id"], "parameters": {},
    }  # fmt: skip
    assert pair.keys() == {"checkpoint_protect_id", "checkpoint_copy_id"}
    assert pair["checkpoint_protect_id"] == album.checkpoint["id"]
    copy = ended(member, pair["checkpoint_copy_id"])
    assert (copy["status"], copy["reason"], copy["progress"]) == ("available", "", 100)
    info = {"created_by": "manual", "copied_from": album.checkpoint["id"], "copy_status": "finished"}
    assert json.loads(copy["extra_info"]) == info
    for name in ("protection_plan", "resource_graph", "resources_status", "project_id", "provider_id"):
        assert copy[name] == album.checkpoint[name]
    (log,) = member.get("/operation_logs", checkpoint_id=copy["id"]).ok("operation_logs")
    assert (log["operation_type"], log["status"], log["plan_id"]) == ("copy", "available", album.plan["id"])

    second = protected(member, album.plan["id"])
    again = [each["checkpoint_protect_id"] for each in copied(member, album.plan["id"])["checkpoint_id"]]
    assert again == [album.checkpoint["id"], second["id"]]  # and not the copy

    body = {"verification": {"provider_id": OS_INFRA, "checkpoint_id": copy["id"], "parameters": {}}}
    verification = member.post("/verifications", body).ok("verification")["id"]
    assert member.ended(f"/verifications/{verification}", "verification")["status"] == "success"
    restore = {"provider_id": OS_INFRA, "checkpoint_id": copy["id"], "parameters": {}}
    id = member.post("/restores", {"restore": restore}).ok("restore")["id"]
    (resource,) = member.ended(f"/restores/{id}", "restore")["resources"]
    assert member.cloud is not None and b"".join(member.cloud.download(resource["restored_id"])) == DATA
    member.post(f"/operation_logs/{id}/action", {"rollback": None}).ok()


def test_a_copy_is_shown_while_it_waits_and_its_source_stays(
    album: Album, member: Client, disabled: Callable[[], AbstractContextManager[None]]
) -> None:
    with disabled():
        pair = copied(member, album.plan["id"])["checkpoint_id"][0]
        copy = member.get(f"{PATH}/{pair['checkpoint_copy_id']}").ok("checkpoint")
        assert (copy["status"], copy["progress"], copy["resource_graph"]) == ("wait_copying", 0, "[{}, []]")
        refused = member.delete(f"{PATH}/{pair['checkpoint_protect_id']}").fault(400, "badRequest")
        assert "unfinished copy" in refused
        member.delete(f"{PATH}/{copy['id']}").fault(400, "badRequest")
    assert ended(member, copy["id"])["status"] == "available"


def test_what_lies_in_no_bank_is_not_copied_with_the_reason(member: Client) -> None:
    assert member.cloud is not None
    volume = VOLUME.create(member.cloud, {"size": 1, "metadata": {}}, "data")
    plan = member.post("/plans", plan_body((VOLUME.type, volume, "data"), provider_id=OS_INFRA)).ok("plan")
    protected(member, plan["id"])
    (pair,) = copied(member, plan["id"])["checkpoint_id"]
    copy = ended(member, pair["checkpoint_copy_id"])
    assert copy["status"] == "error" and "not copied" in copy["reason"]
    key = f"{VOLUME.type}#{volume}"
    assert copy["resources_status"] == {key: "error"} and "not copied" in copy["resources_reason"][key]
    assert "copy_status" not in json.loads(copy["extra_info"])
    assert member.get(f"{PATH}/{pair['checkpoint_protect_id']}").ok("checkpoint")["status"] == "available"
    VOLUME.delete(member.cloud, volume)


def test_what_cannot_be_copied_is_refused_and_leaves_nothing(album: Album, member: Client, stranger: Client) -> None:
    before = member.get("/operation_logs").ok("operation_logs")
    good = {"plan_id": album.plan["id"]}
    empty = member.post("/plans", plan_body((IMAGE.type, album.image, "base"), provider_id=OS_INFRA)).ok("plan")["id"]
    refused = member.post(ACTION, {"copy": {"plan_id": empty}}).fault(400, "badRequest")
    assert empty in refused and "no available checkpoint" in refused
    member.post(ACTION, {"copy": {"plan_id": UNKNOWN}}).fault(404, "itemNotFound")
    stranger.post(ACTION, {"copy": good}).fault(404, "itemNotFound")
    other = member.post(f"/providers/{NOOP}/checkpoints/action", {"copy": good})
    assert "provider_id" in other.fault(400, "badRequest")
    for provider in ("nonsense", UNKNOWN):
        member.post(f"/providers/{provider}/checkpoints/action", {"copy": good}).fault(400, "badRequest")
    for wrong, field in (
        ({}, "plan_id"),
        ({"plan_id": "x"}, "copy.plan_id"),
        ({**good, "parameters": None}, "copy.parameters"),
        ({**good, "parameters": {"OS::No::Thing": {"a": 1}}}, "OS::No::Thing"),
        ({**good, "parameters": {IMAGE.type: {"colour": "red"}}}, "colour"),
        ({**good, "more": 1}, "more"),
    ):
        assert field in member.post(ACTION, {"copy": wrong}).fault(400, "badRequest")
    assert member.get("/operation_logs").ok("operation_logs") == before


def test_copies_count_for_the_quota_all_or_none(album: Album, member: Client, admin: Client) -> None:
    protected(member, album.plan["id"])
    quota = f"/quotas/{member.project_id}"
    used = member.get(f"{quota}/detail").ok("quota")["checkpoints"]["in_use"]
    admin.put(quota, {"quota": {"checkpoints": used + 1}}).ok()  # and there are two to be copied
    try:
        message = member.post(ACTION, {"copy": {"plan_id": album.plan["id"]}}).fault(413, "overLimit")
        assert "checkpoints" in message
        assert member.get(f"{quota}/detail").ok("quota")["checkpoints"]["in_use"] == used
    finally:
        admin.put(quota, {"quota": {"checkpoints": -1}}).ok()
