"""Runs of scheduled operations over HTTP: what a plan says holds for them as for a checkpoint that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from api_client import OS_INFRA, Client, plan_body
from cryptography.fernet import Fernet
from scheduling import Fire, create, trusts

from karbor import clock
from karbor.api.service import Service
from karbor.cloud.blockstorage import VOLUME
from karbor.store import schedules, schema
from karbor.store.sealed import Seal
from karbor.testing.rig import Rig


@pytest.fixture
def keyless(member: Client, rig: Rig, service: Service, sent: dict[str, Any]) -> dict[str, Any]:
    """A schedule whose credential was sealed with a key that the service has no more."""
    made = create(member, sent)
    facts = service.seal.open(schedules.get(rig.database, made["id"])["credential"])
    sealed = Seal([Fernet.generate_key().decode()]).seal(facts)
    schedules.update(rig.database, made["id"], credential=sealed)
    return made


def awaited_trusts(rig: Rig) -> set[str]:
    with rig.database.connect() as connection:
        return set(connection.execute(sa.select(schema.awaited_trusts.c.id)).scalars())


@pytest.mark.parametrize("operation_type", ["protect", "retention_protect"])
def test_options_that_mean_nothing_here_are_as_harmless_to_a_schedule_as_to_a_person(
    member: Client, sent: dict[str, Any], fire: Fire, operation_type: str
) -> None:
    assert member.cloud is not None
    volume = VOLUME.create(member.cloud, {"size": 1, "metadata": {}}, "optional")
    parameters = {"OS::Manila::Share": {"x": "y"}, VOLUME.type: None, f"{VOLUME.type}#{volume}": None}
    body = plan_body((VOLUME.type, volume, "optional"), provider_id=OS_INFRA, parameters=parameters)
    plan = member.post("/plans", body).ok("plan")["id"]
    path = f"/providers/{OS_INFRA}/checkpoints"
    manual = member.post(path, {"checkpoint": {"plan_id": plan}}).ok("checkpoint")["id"]
    assert member.ended(f"{path}/{manual}", "checkpoint")["status"] == "available"
    definition = {"provider_id": OS_INFRA, "plan_id": plan}
    made = create(member, sent, operation_type=operation_type, operation_definition=definition)
    firing = fire(made)
    log = member.get(f"/operation_logs/{firing['operation_log_id']}").ok("operation_log")
    assert firing["status"] == "available", log["error_info"]
    member.delete(f"/scheduled_operations/{made['id']}").ok()
    VOLUME.delete(member.cloud, volume)


def test_a_schedule_goes_with_its_trigger_and_plan_also_where_its_key_is_lost(
    member: Client, keyless: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    path = f"/scheduled_operations/{keyless['id']}"
    member.delete(path).ok()
    member.get(path).fault(404, "itemNotFound")
    assert f"the trust of scheduled operation {keyless['id']} stays" in caplog.text
    assert member.delete(f"/triggers/{keyless['trigger_id']}").status == 200
    assert member.delete(f"/plans/{keyless['operation_definition']['plan_id']}").status == 200


def test_a_schedule_whose_key_is_lost_runs_again_with_a_new_credential(
    member: Client, rig: Rig, keyless: dict[str, Any], fire: Fire
) -> None:
    before, path = trusts(rig), f"/scheduled_operations/{keyless['id']}"
    assert fire(keyless)["status"] == "error"
    changed = member.put(path, {"scheduled_operation": {"credential": None}}).ok("scheduled_operation")
    assert changed == keyless
    firing = fire(keyless)
    assert firing["status"] == "available", firing
    assert len(trusts(rig) - before) == 1
    member.delete(path).ok()
    assert trusts(rig) == before


def test_a_new_credential_takes_the_old_ones_rights_away(
    member: Client, stranger: Client, rig: Rig, sent: dict[str, Any], fire: Fire
) -> None:
    before, awaited = trusts(rig), awaited_trusts(rig)
    made = create(member, sent)
    first, path = trusts(rig) - before, f"/scheduled_operations/{made['id']}"
    for wrong in ({"id": "x"}, {"id": "x", "secret": "hidden"}, "mine"):
        reply = member.put(path, {"scheduled_operation": {"name": "other", "credential": wrong}})
        assert "hidden" not in reply.fault(400, "badRequest")
    stranger.put(path, {"scheduled_operation": {"credential": None}}).fault(403, "forbidden")
    assert trusts(rig) == before | first
    member.put(path, {"scheduled_operation": {"name": "renewed", "credential": None}}).ok()
    assert not trusts(rig) & first and len(trusts(rig) - before) == 1
    assert awaited_trusts(rig) <= awaited, "no engine takes the new one for one that nobody has"
    assert fire(made)["status"] == "available"
    member.delete(path).ok()
    assert trusts(rig) == before


def test_what_was_due_while_it_was_off_is_not_made_up_for(
    member: Client, rig: Rig, sent: dict[str, Any], fire: Fire, tick: Callable[[], None]
) -> None:
    off, on = create(member, sent), create(member, sent)
    path = f"/scheduled_operations/{off['id']}"
    member.put(path, {"scheduled_operation": {"enabled": False}}).ok()
    schedules.update_trigger(rig.database, off["trigger_id"], next_at=clock.now())
    member.put(path, {"scheduled_operation": {"enabled": True}}).ok()
    tick()
    assert member.get(path).ok("scheduled_operation")["firings"] == []
    other = member.until(
        f"/scheduled_operations/{on['id']}", "scheduled_operation", lambda found: found["firings"][0]["checkpoint_id"]
    )
    assert len(other["firings"]) == 1
    assert fire(off)["status"] == "available"
    for made in (off, on):
        member.delete(f"/scheduled_operations/{made['id']}").ok()


def test_what_a_changed_trigger_had_missed_is_started_or_told_of(
    member: Client, rig: Rig, schedule: dict[str, Any], tick: Callable[[], None]
) -> None:
    schedules.update(rig.database, schedule["id"], created_at="2026-01-01T00:00:00.000000")
    path, trigger = f"/scheduled_operations/{schedule['id']}", f"/triggers/{schedule['trigger_id']}"
    properties = {**member.get(trigger).ok("trigger_info")["properties"], "start_time": "2026-01-01 00:00:00"}
    yesterday, now = clock.days_ago(1), clock.now()
    for due, window in ((yesterday, 25), (now, 30)):
        schedules.update_trigger(rig.database, schedule["trigger_id"], next_at=due)
        member.put(trigger, {"trigger_info": {"properties": {**properties, "window": window}}}).ok()
    tick()
    shown = member.until(path, "scheduled_operation", lambda found: found["firings"][0]["status"] == "available")
    assert [firing["due_at"] for firing in shown["firings"]] == [now, yesterday]
    assert (shown["firings"][1]["status"], "window" in shown["firings"][1]["reason"]) == ("dropped", True)
