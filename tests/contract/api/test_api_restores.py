"""The contract of `/restores`, and of what `/operation_logs/{id}/action` does about them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from api_client import OS_INFRA, UNKNOWN, Client, is_texts
from cryptography.fernet import Fernet
from saved_volume import LOG, RUN, TYPE, Story, restore_body

from karbor.cloud.access import find_region
from karbor.cloud.blockstorage import VOLUME
from karbor.store import operations
from karbor.store.sealed import Seal
from karbor.testing.rig import Rig

RESTORE = RUN | {"restore_target", "resources"}


def test_restore_tells_what_became_of_what(story: Story, member: Client) -> None:
    restore = member.post("/restores", restore_body(story)).ok("restore")
    assert set(restore) >= RESTORE
    assert (restore["status"], restore["resources_status"], restore["resources_reason"]) == ("in_progress", {}, {})
    assert restore["restore_target"] is None and "restore_auth" not in restore
    done = member.ended(f"/restores/{restore['id']}", "restore")
    assert (done["status"], done["reason"], done["progress"]) == ("success", "", 100)
    (resource,) = done["resources"]
    new = resource["restored_id"]
    assert resource["original_id"] == story.volume and new != story.volume
    assert done["resources_status"] == {f"{TYPE}#{new}": "available"}
    assert done["resources_reason"] == {f"{TYPE}#{new}": ""} and is_texts(done["resources_reason"])
    assert member.cloud is not None and VOLUME.get(member.cloud, new) is not None
    (listed,) = member.get("/restores", limit=1).ok("restores")
    assert set(listed) == RESTORE and {name: done[name] for name in RESTORE} == listed
    assert restore["id"] in [item["id"] for item in member.get("/restores", status="success").ok("restores")]
    assert restore["id"] not in [item["id"] for item in member.get("/restores", status="fail").ok("restores")]

    reply = member.delete(f"/restores/{restore['id']}")
    assert (reply.ok(), reply.text) == (None, "")
    member.get(f"/restores/{restore['id']}").fault(404, "itemNotFound")
    assert VOLUME.get(member.cloud, new) is not None
    VOLUME.delete(member.cloud, new)


def test_a_restore_can_be_taken_back(story: Story, member: Client, stranger: Client) -> None:
    id = member.post("/restores", restore_body(story)).ok("restore")["id"]
    (resource,) = member.ended(f"/restores/{id}", "restore")["resources"]
    path = f"/operation_logs/{id}/action"
    for wrong in ({}, {"rollback": 1}, {"rollback": {"now": True}}, {"explode": {}}, {"cancel": {}, "resume": {}}):
        member.post(path, wrong).fault(400, "badRequest")
    stranger.post(path, {"rollback": {}}).fault(404, "itemNotFound")
    for name in ("cancel", "resume"):
        assert "ended" in member.post(path, {name: None}).fault(400, "badRequest")
    assert set(member.post(path, {"rollback": {}}).ok("operation_log")) == LOG
    member.until(f"/operation_logs/{id}", "operation_log", lambda log: log["phase"] == "ended")
    assert member.cloud is not None and VOLUME.get(member.cloud, resource["restored_id"]) is None
    member.delete(f"/restores/{id}").ok()


def test_what_cannot_be_restored_has_failed_with_the_reason(story: Story, member: Client) -> None:
    cases = [
        ({"checkpoint_id": UNKNOWN}, UNKNOWN),
        ({"provider_id": UNKNOWN}, UNKNOWN),
        ({"parameters": {"OS::No::Thing": {"a": "b"}}}, "OS::No::Thing"),
        ({"parameters": {TYPE: {"nonsense": "b"}}}, "nonsense"),
        ({"parameters": {f"{TYPE}#{UNKNOWN}": {"restore_name": "b"}}}, f"{TYPE}#{UNKNOWN}"),
    ]
    for changes, reason in cases:
        restore = member.post("/restores", restore_body(story, **changes)).ok("restore")
        assert restore["status"] == "fail" and reason in restore["reason"]
        assert member.get(f"/restores/{restore['id']}").ok("restore")["status"] == "fail"
        verification = {"provider_id": OS_INFRA, "checkpoint_id": story.checkpoint["id"], "parameters": {}, **changes}
        verified = member.post("/verifications", {"verification": verification}).ok("verification")
        assert verified["status"] == "fail" and reason in verified["reason"]
        member.delete(f"/restores/{restore['id']}").ok()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"checkpoint_id": "x"}, "restore.checkpoint_id"),
        ({"provider_id": None}, "restore.provider_id"),
        ({"parameters": []}, "restore.parameters"),
        ({"restore_target": 1}, "restore.restore_target"),
        ({"restore_target": "file:///etc", "restore_auth": {"username": "u", "password": "p"}}, "restore_target"),
        ({"restore_target": "http://127.0.0.1/v3"}, "restore.restore_auth"),
        ({"restore_auth": {"username": "u", "password": "p"}}, "restore.restore_target"),
        ({"restore_target": "http://127.0.0.1/v3", "restore_auth": {"type": "key"}}, "restore.restore_auth.type"),
        ({"restore_target": "http://127.0.0.1/v3", "restore_auth": {"username": "u"}}, "restore.restore_auth.password"),
        ({"restore_auth": {"password": ["open sesame"]}}, "restore.restore_auth.password"),
        ({"sesame": "open"}, "sesame"),
    ],
)
def test_restore_names_the_field_that_is_wrong(
    story: Story, member: Client, changes: dict[str, Any], field: str
) -> None:
    before = member.get("/restores").ok("restores")
    message = member.post("/restores", restore_body(story, **changes)).fault(400, "badRequest")
    assert field in message and "open sesame" not in message
    assert member.get("/restores").ok("restores") == before


def test_a_login_for_another_cloud_is_nowhere_in_clear(story: Story, member: Client, rig: Rig) -> None:
    auth = {"type": "password", "username": "nobody", "password": "open sesame", "project_name": "sandbox-b"}
    target = rig.sandbox.url + "/identity/v3"
    body = restore_body(story, restore_target=target, restore_auth=auth)
    reply = member.post("/restores", body)
    restore = reply.ok("restore")
    assert restore["restore_target"] == target and "open sesame" not in reply.text
    row = operations.get(rig.database, restore["id"])
    assert "open sesame" not in json.dumps(row, default=str)
    waiting = member.until(f"/restores/{restore['id']}", "restore", lambda found: found["status"] != "in_progress")
    assert waiting["status"] == "needs credentials" and waiting["reason"]
    assert "open sesame" not in json.dumps(waiting)
    member.delete(f"/restores/{restore['id']}").fault(409, "conflictingRequest")
    member.post(f"/operation_logs/{restore['id']}/action", {"cancel": None}).ok()
    assert member.ended(f"/restores/{restore['id']}", "restore")["status"] == "fail"


def test_a_restore_whose_cloud_does_not_answer_says_so_and_is_over_when_it_is_cancelled(
    story: Story, member: Client, rig: Rig
) -> None:
    auth = {"username": "sandbox-b", "password": "sesame", "project_name": "sandbox-b"}
    rig.fault(service="identity", method="POST", path="/auth/tokens", status=503, times=None)
    try:
        body = restore_body(story, restore_target=rig.sandbox.url + "/identity/v3", restore_auth=auth)
        id = member.post("/restores", body).ok("restore")["id"]
        log = member.until(f"/operation_logs/{id}", "operation_log", lambda log: log["error_info"])
        assert (log["status"], log["phase"]) == ("in_progress", "forward") and "503" in log["error_info"]
        member.delete(f"/restores/{id}").fault(409, "conflictingRequest")
        member.post(f"/operation_logs/{id}/action", {"cancel": None}).ok()
        done = member.ended(f"/restores/{id}", "restore")
        assert (done["status"], done["reason"]) == ("fail", "the operation was cancelled")
    finally:
        rig.ask("/sandbox/faults", "DELETE")
    member.delete(f"/restores/{id}").ok()


def test_a_restore_goes_only_where_the_operator_lets_it(story: Story, member: Client, rig: Rig, elsewhere: str) -> None:
    before = member.get("/restores").ok("restores")
    auth = {"username": "sandbox", "password": "sesame", "project_name": "sandbox"}
    own = rig.sandbox.url + "/identity/v3"
    for target in ("http://169.254.169.254/v3", own.replace("/identity", "/volume"), own.replace("http", "https")):
        reply = member.post("/restores", restore_body(story, restore_target=target, restore_auth=auth))
        message = reply.fault(403, "forbidden")
        assert "restore_targets" in message and target in message and "sesame" not in message
    for target in (own.replace("://", "://admin@"), own.replace("http", "file"), "http://host:0/v3", "http://[::1/v3"):
        reply = member.post("/restores", restore_body(story, restore_target=target, restore_auth=auth))
        assert "restore_target" in reply.fault(400, "badRequest")
    assert member.get("/restores").ok("restores") == before
    for target in (own.removesuffix("/v3"), elsewhere + "/"):
        auth["password"] = find_region("sandbox", rig.folder).config["auth"]["password"]
        reply = member.post("/restores", restore_body(story, restore_target=target, restore_auth=auth))
        restore = reply.ok("restore")
        assert restore["restore_target"] == (own if target in own else elsewhere)
        done = member.until(f"/restores/{restore['id']}", "restore", lambda found: found["status"] != "in_progress")
        assert done["status"] == "success", done["reason"]
        assert member.cloud is not None
        VOLUME.delete(member.cloud, done["resources"][0]["restored_id"])


def test_a_restore_elsewhere_goes_on_and_back_with_a_login_there(
    story: Story, member: Client, rig: Rig, elsewhere: str
) -> None:
    """The service forgets the login as soon as the restore rests."""
    auth = {"username": "sandbox", "password": "wrong sesame", "project_name": "sandbox"}
    body = restore_body(story, restore_target=elsewhere, restore_auth=auth)
    id = member.post("/restores", body).ok("restore")["id"]
    path = f"/operation_logs/{id}/action"

    def rest(status: str) -> dict[str, Any]:
        resting = member.until(f"/restores/{id}", "restore", lambda found: found["status"] != "in_progress")
        assert resting["status"] == status, resting["reason"]
        return resting

    rest("needs credentials")
    for nothing in (None, {}, {"restore_auth": None}):
        assert elsewhere in member.post(path, {"resume": nothing}).fault(400, "badRequest")
    for wrong in ({"restore_auth": {"username": "u"}}, {"restore_auth": {**auth, "key": "k"}}, {"restore_target": "x"}):
        message = member.post(path, {"resume": wrong}).fault(400, "badRequest")
        assert "resume" in message and "sesame" not in message
    member.post(path, {"resume": {"restore_auth": auth}}).ok()
    rest("needs credentials")
    good = {"restore_auth": {**auth, "password": find_region("sandbox", rig.folder).config["auth"]["password"]}}
    member.post(path, {"resume": good}).ok()
    made = rest("success")["resources"][0]["restored_id"]
    assert "restore_auth" in member.post(path, {"rollback": {}}).fault(400, "badRequest")
    assert member.cloud is not None and VOLUME.get(member.cloud, made) is not None
    reply = member.post(path, {"rollback": good})
    assert reply.ok("operation_log")["id"] == id and good["restore_auth"]["password"] not in reply.text
    member.until(f"/operation_logs/{id}", "operation_log", lambda log: log["phase"] == "ended")
    assert VOLUME.get(member.cloud, made) is None
    member.delete(f"/restores/{id}").ok()


def test_a_login_is_refused_for_what_goes_on_in_this_cloud(story: Story, member: Client) -> None:
    id = member.post("/restores", restore_body(story)).ok("restore")["id"]
    (resource,) = member.ended(f"/restores/{id}", "restore")["resources"]
    login = {"restore_auth": {"username": "u", "password": "open sesame"}}
    message = member.post(f"/operation_logs/{id}/action", {"rollback": login}).fault(400, "badRequest")
    assert "rollback.restore_auth" in message and "sesame" not in message
    for wrong in (login, [login], {"x": [login]}, [{"password": "open sesame"}]):
        for body in ({"cancel": wrong}, {"resume": [wrong]}, [wrong], {"resume": wrong, "cancel": {}}):
            refused = member.post(f"/operation_logs/{id}/action", body).fault(400, "badRequest")
            assert "sesame" not in refused, body
    assert member.cloud is not None and VOLUME.get(member.cloud, resource["restored_id"]) is not None
    member.post(f"/operation_logs/{id}/action", {"rollback": None}).ok()
    member.until(f"/operation_logs/{id}", "operation_log", lambda log: log["phase"] == "ended")


def test_a_restore_can_be_forgotten_without_the_key_of_its_credential(story: Story, member: Client, rig: Rig) -> None:
    id = member.post("/restores", restore_body(story, checkpoint_id=UNKNOWN)).ok("restore")["id"]
    lost = Seal([Fernet.generate_key().decode()])
    operations.update(rig.database, id, credential=lost.seal({"kind": "trust", "trust_id": "x"}))
    member.delete(f"/restores/{id}").ok()
    member.get(f"/restores/{id}").fault(404, "itemNotFound")
