"""Operations of the service: with the caller's rights alone, and with no trace."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from bureau import KEY, SERVICE_USER, Bureau, until

from karbor import clock
from karbor.cloud.access import find_region
from karbor.cloud.blockstorage import BACKUP, SNAPSHOT, VOLUME
from karbor.cloud.delegation import Delegation
from karbor.cloud.images import IMAGE
from karbor.model.errors import Unauthorized
from karbor.plugins.project import PROJECT
from karbor.sandbox.identity import assign
from karbor.sandbox.tokens import digest
from karbor.store import operations, schema
from karbor.store.sealed import Seal

LOST = {"type": VOLUME.type, "id": "11111111-1111-4111-8111-111111111111", "name": "lost"}


def made_for(bureau: Bureau, *kinds: str) -> set[str]:
    """The users to whom everything of some kinds belongs."""
    return {thing["user_id"] for kind in kinds for thing in bureau.sandbox.state.table(kind).values()}


def test_an_operation_has_the_rights_of_its_caller_and_leaves_no_credential(bureau: Bureau) -> None:
    with pytest.raises(Unauthorized):
        bureau.log_in(username=SERVICE_USER)  # the service user has no role in the caller's project
    resources, theirs = bureau.application(), bureau.inventory(SERVICE_USER)
    row = bureau.run(bureau.protect(resources))
    assert (row["status"], row["error_info"], row["plan_id"]) == ("available", None, "a-plan")
    assert (row["credential"], bureau.trusts()) == (None, [])
    checkpoint = bureau.checkpoint(row)
    assert (checkpoint["status"], checkpoint["plan_id"]) == ("available", "a-plan")
    restored = bureau.run(bureau.restore(row["checkpoint_id"]))
    assert restored["status"] == "success", restored["error_info"]
    assert (restored["credential"], bureau.trusts()) == (None, [])
    assert len(list(VOLUME.list(bureau.cloud()))) == 2
    assert made_for(bureau, "volume", "backup", "snapshot") == {bureau.cloud().user_id}
    assert bureau.inventory(SERVICE_USER) == theirs
    who = bureau.who()
    verified = bureau.run(
        bureau.intake.verify(**who, provider=bureau.provider, checkpoint_id=row["checkpoint_id"], parameters={})
    )
    assert verified["status"] == "success"
    deleted = bureau.run(bureau.intake.delete(**bureau.who(), checkpoint_id=row["checkpoint_id"]))
    assert deleted["status"] == "deleted"
    assert (bureau.trusts(), list(BACKUP.list(bureau.cloud()))) == ([], [])


def test_a_plan_outlives_what_it_has_options_for_and_the_operation_says_so(bureau: Bureau) -> None:
    gone = f"{VOLUME.type}#{clock.new_id()}"
    plan = bureau.plan(bureau.application(), **{gone: {"backup_mode": "full"}, f"{IMAGE.type}#{clock.new_id()}": {}})
    row = bureau.run(bureau.intake.protect(**bureau.who(), provider=bureau.provider, plan=plan, extra_info={}))
    assert row["status"] == "available", row["error_info"]
    assert row["error_info"].startswith(f"the options for {gone} had no effect")
    assert bureau.checkpoint(row)["reason"] == ""


def test_the_bytes_of_a_checkpoint_are_those_that_lie_in_the_bank(bureau: Bureau) -> None:
    row = bureau.run(bureau.protect(bureau.application()))
    pieces = [path for path in (bureau.folder / "bank").rglob("data/**/*") if path.is_file()]
    stored = sum(path.stat().st_size for path in pieces if path.name != "index.json")
    assert bureau.checkpoint(row)["bytes_in_bank"] == stored > 0
    bureau.engine().import_checkpoints(bureau.provider)
    assert bureau.checkpoint(row)["bytes_in_bank"] == stored


def test_the_token_of_an_application_credential_is_enough(bureau: Bureau) -> None:
    resources = bureau.application()
    caller, _ = bureau.by_application_credential()
    row = bureau.run(bureau.protect(resources, caller))
    assert row["status"] == "available", row["error_info"]
    assert row["credential"] is None
    assert "trust" not in bureau.creates()
    assert bureau.trusts() == []


def ended_tokens(bureau: Bureau, id: str, token: str) -> Iterator[Any]:
    """Run an operation whose token ends at the first commit of its journal, then with a new one at the second, and
    so on; the row each time that it stops."""
    for deadly in range(1000):
        moments = iter(range(1000))

        def observer(point: str, *, deadly: int = deadly, moments: Any = moments, token: str = token) -> None:
            if next(moments) == deadly:
                bureau.end_token(token)

        with bureau.conducted(observer):
            row = bureau.at_rest(id)
        yield row
        if row["phase"] == "ended":
            return
        caller, _ = bureau.by_application_credential()
        token = caller.token
        bureau.intake.resume(id, bureau.credential(caller))
    raise AssertionError("it never ends")


@pytest.mark.parametrize("vouch", [True, False])
def test_a_token_that_runs_out_is_good_to_the_end_where_the_service_vouches_for_it(bureau: Bureau, vouch: bool) -> None:
    auth = find_region("sandbox-service", bureau.folder).config["auth"]
    service = {name: auth[name] for name in ("username", "password", "project_name")}
    delegation = Delegation(auth_url=bureau.auth_url, region="sandbox", vouch=vouch, **service)
    theirs = bureau.inventory(SERVICE_USER)
    caller, _ = bureau.by_application_credential()
    id = bureau.protect(bureau.application(), caller)
    commits = iter(range(1000))

    def observer(point: str) -> None:
        if next(commits) == 4:
            with bureau.sandbox.state.lock:
                record = bureau.sandbox.state.table("token")[digest(caller.token)]
                bureau.sandbox.state.save("token", {**record, "expires": time.time() - 1})

    engine = bureau.engine(observer)
    row = engine.conduct(id, lambda row: delegation.by_credential(bureau.seal.open(row["credential"])))
    assert row["status"] == ("available" if vouch else "needs credentials"), row["error_info"]
    if vouch:
        assert made_for(bureau, "volume", "backup", "snapshot") == {caller.user_id}
        assert bureau.inventory(SERVICE_USER) == theirs
    stranger = bureau.caller(bureau.cloud("sandbox-b"))
    cloud = delegation.by_token(stranger.token, stranger.project_id)
    assert [volume["id"] for volume in VOLUME.list(cloud)] == [], (
        "what the caller may not see the service does not show"
    )


@pytest.mark.parametrize("verb", ["protect", "restore", "delete"])
def test_a_token_that_runs_out_stops_the_operation_until_there_is_another(bureau: Bureau, verb: str) -> None:
    resources = bureau.application()
    checkpoint = bureau.protected(resources)
    caller, _ = bureau.by_application_credential()

    def start() -> str:
        if verb == "protect":
            return bureau.protect(resources, caller)
        if verb == "restore":
            return bureau.restore(checkpoint, caller)
        return bureau.intake.delete(**bureau.who(caller), checkpoint_id=bureau.protected(resources))

    before = bureau.creates()
    undisturbed = bureau.run(start())
    made, before = bureau.since(before), bureau.creates()
    id = start()
    stops = list(ended_tokens(bureau, id, caller.token))
    assert len(stops) > 2
    for row in stops[:-1]:
        assert (row["status"], row["phase"], row["credential"]) == ("needs credentials", "forward", None)
        assert "401" in row["error_info"] or "refused" in row["error_info"]
    assert (stops[-1]["status"], stops[-1]["error_info"]) == (undisturbed["status"], None)
    assert bureau.since(before) == made
    assert list(SNAPSHOT.list(bureau.cloud())) == []


@pytest.mark.parametrize(
    ("lost", "words"),
    [(LOST, LOST["id"]), ({**LOST, "type": "OS::X::Y"}, "no type"), ({**LOST, "type": PROJECT}, "not the one")],
)
def test_a_plan_whose_resource_is_gone_ends_in_error_with_the_reason(
    bureau: Bureau, lost: dict[str, Any], words: str
) -> None:
    row = bureau.run(bureau.protect([*bureau.application(), lost]))
    assert (row["status"], row["phase"]) == ("error", "ended")
    assert words in row["error_info"]
    checkpoint = bureau.checkpoint(row)
    assert (checkpoint["status"], checkpoint["reason"]) == ("error", row["error_info"])
    assert {item["status"] for item in checkpoint["resources"]} == {"error"}
    assert (bureau.trusts(), list(BACKUP.list(bureau.cloud()))) == ([], [])
    assert list(bureau.provider.archive.checkpoints()) == []
    gone = bureau.run(bureau.intake.delete(**bureau.who(), checkpoint_id=row["checkpoint_id"]))
    assert gone["status"] == "deleted", gone["error_info"]


def test_wrong_options_of_a_plan_are_told_before_anything_is_made(bureau: Bureau) -> None:
    plan = bureau.plan(bureau.application(), **{VOLUME.type: {"backup_mode": "sideways"}})
    id = bureau.intake.protect(**bureau.who(), provider=bureau.provider, plan=plan, extra_info={})
    row = bureau.run(id)
    assert row["status"] == "error"
    assert "sideways" in row["error_info"]
    assert list(BACKUP.list(bureau.cloud())) == []


def test_the_pseudo_network_is_all_of_the_project_around_its_servers(bureau: Bureau) -> None:
    cloud = bureau.cloud()
    network = cloud.post("network", "/networks", {"network": {"name": "front"}})["network"]["id"]
    router = cloud.post("network", "/routers", {"router": {"name": "way out"}})["router"]["id"]
    plan = [{"type": "OS::Neutron::Network", "id": cloud.project_id, "name": "Network Topology"}]
    row = bureau.run(bureau.protect(plan))
    assert row["status"] == "available", row["error_info"]
    saved = {item["id"]: item["type"] for item in bureau.checkpoint(row)["resources"]}
    assert {network, router} < saved.keys()
    assert "OS::Neutron::SecurityGroup" in saved.values()


def test_no_secret_is_logged_or_written(bureau: Bureau, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    resources = bureau.application()
    by_trust = bureau.caller()
    by_token, secret = bureau.by_application_credential()
    running = [bureau.protect(resources, by_trust), bureau.protect(resources, by_token)]
    trust = bureau.trusts()[0]
    secrets = [by_trust.token, by_token.token, secret, bureau.password, KEY, trust]
    checkpoint = bureau.protected(resources)
    running.append(bureau.restore_with_password(checkpoint, "sandbox"))
    written = [bureau.everything_written()]
    rows = [bureau.run(id) for id in running]
    assert [row["status"] for row in rows] == ["available", "available", "success"]
    written.append(bureau.everything_written())
    assert running[0] in written[0]  # it looks where it should
    for word in secrets:
        assert not any(word in text for text in written)
    said = "\n".join(record.getMessage() + str(record.exc_info or "") for record in caplog.records)
    assert running[0] in said
    for word in (*secrets[:-1], "gAAAA"):  # as every token begins, those of the trusts too, and every sealed text
        assert word not in said


def test_a_password_restores_into_another_project(bureau: Bureau) -> None:
    resources = [item for item in bureau.application() if item["type"] == IMAGE.type]
    checkpoint = bureau.protected(resources)
    row = bureau.run(bureau.restore_with_password(checkpoint, "sandbox-b"))
    assert row["status"] == "success", row["error_info"]
    there = bureau.cloud("sandbox-b")
    assert row["cloud"]["project_id"] == there.project_id
    assert [image["name"] for image in IMAGE.list(there) if image["owner"] == there.project_id] == ["base"]


def schedule(bureau: Bureau, credential: str) -> str:
    """A schedule that has the credential for its own."""
    common = {"id": "a-schedule", "project_id": "p", "name": "nightly", "created_at": ""}
    with bureau.database.begin() as connection:
        trigger = {**common, "id": "a-trigger", "type": "time", "properties": {}}
        connection.execute(sa.insert(schema.triggers).values(trigger))
        connection.execute(
            sa.insert(schema.scheduled_operations).values(
                **common, user_id="u", operation_type="protect", trigger_id="a-trigger", operation_definition={},
                credential=credential,
            )
        )  # fmt: skip
    return "a-schedule"


def test_the_trust_of_a_schedule_outlives_its_runs_and_goes_with_it(bureau: Bureau) -> None:
    resources = bureau.application()
    who = bureau.who()
    id = schedule(bureau, who["credential"])
    for _ in range(2):
        row = bureau.run(bureau.protect(resources, **who, scheduled_operation_id=id))
        assert (row["status"], row["credential"], row["scheduled_operation_id"]) == ("available", None, id)
        assert len(bureau.trusts()) == 1
    with bureau.database.begin() as connection:
        connection.execute(sa.delete(schema.scheduled_operations))
    bureau.run(bureau.protect(resources, **who, scheduled_operation_id=id))
    assert bureau.trusts() == []


def test_a_schedule_that_is_not_let_in_any_more_fails_with_the_reason(bureau: Bureau) -> None:
    resources, who = bureau.application(), bureau.who()
    id = schedule(bureau, who["credential"])
    assign(bureau.sandbox.state, who["project_id"], who["user_id"], [])
    row = bureau.run(bureau.protect(resources, **who, scheduled_operation_id=id))
    assert (row["status"], row["phase"]) == ("error", "ended")
    assert "logging in" in row["error_info"]
    assert bureau.checkpoint(row)["status"] == "error"


def test_a_keystone_that_does_not_answer_is_waited_for(bureau: Bureau) -> None:
    id = bureau.protect(bureau.application())
    bureau.fault(service="identity", method="POST", path="/auth/tokens", status=503, times=2)
    row = bureau.run(id)
    assert (row["status"], row["error_info"]) == ("available", None)
    assert row["epoch"] == 3


def test_a_credential_that_cannot_be_opened_is_asked_for_again(bureau: Bureau) -> None:
    id = bureau.protect(bureau.application())
    with bureau.conducted(seal=Seal(["b3RoZXIgc2l4dGVlbiBieXRlcyBhbmQgbW9yZSwgMzI="])):
        row = bureau.at_rest(id)
    assert (row["status"], row["graph"]) == ("needs credentials", None)
    assert "cannot be opened" in row["error_info"]
    bureau.intake.resume(id, bureau.credential(bureau.caller()))
    assert bureau.run(id)["status"] == "available"


def test_a_new_credential_has_to_be_for_the_same_project(bureau: Bureau) -> None:
    id = bureau.protect(bureau.application())
    other = {"kind": "password", "username": "sandbox-b", "password": bureau.password, "project_name": "sandbox-b"}
    operations.update(bureau.database, id, credential=bureau.seal.seal(other))
    row = bureau.run(id)
    assert row["status"] == "needs credentials"
    assert "belongs to project" in row["error_info"]


@pytest.mark.parametrize("then", ["resume", "roll_back"])
def test_a_kept_restore_waits_without_a_credential(bureau: Bureau, then: str) -> None:
    checkpoint = bureau.protected(bureau.application())
    count = len(list(VOLUME.list(bureau.cloud())))
    bureau.fault(service="image", method="POST", path="/images", status=400, times=None)
    id = bureau.restore(checkpoint, on_failure="keep")
    row = bureau.run(id)
    assert (row["status"], row["phase"]) == ("fail", "kept")
    assert bureau.trusts() == []
    bureau.ask("/sandbox/faults", "DELETE")
    getattr(bureau.intake, then)(id, bureau.credential(bureau.caller()))
    row = bureau.run(id)
    assert row["phase"] == "ended"
    assert row["status"] == {"resume": "success", "roll_back": "fail"}[then]
    assert len(list(VOLUME.list(bureau.cloud()))) == count + (then == "resume")
    assert bureau.trusts() == []


def test_a_cancelled_operation_takes_back_what_it_made(bureau: Bureau) -> None:
    resources = bureau.application()
    queued = bureau.protect(resources)
    bureau.intake.cancel(queued)
    row = bureau.run(queued)
    assert (row["status"], row["error_info"]) == ("error", "the operation was cancelled")
    assert bureau.checkpoint(row)["status"] == "error"
    bureau.sandbox.state.delay = 1.0  # longer than it takes to see a cancel
    running = bureau.protect(resources)
    with bureau.conducted():
        until(lambda: len(operations.entries(bureau.database, running)) >= 2)
        bureau.intake.cancel(running)
        row = bureau.at_rest(running)
    assert (row["status"], row["phase"]) == ("error", "ended")
    assert "cancelled" in row["error_info"]
    assert list(SNAPSHOT.list(bureau.cloud())) == list(BACKUP.list(bureau.cloud())) == []
    assert bureau.trusts() == []
