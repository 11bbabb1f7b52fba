"""Runs of scheduled operations over HTTP: what a plan says holds for them as for a checkpoint that was asked for."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from api_client import OS_INFRA, Client, plan_body
from cryptography.fernet import Fernet
from scheduling import Fire, create, trusts

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
