"""Runs of scheduled operations over HTTP: what a plan says holds for them as for a checkpoint that was asked for."""

from __future__ import annotations

from typing import Any

import pytest
from api_client import OS_INFRA, Client, plan_body
from scheduling import Fire, create

from karbor.cloud.blockstorage import VOLUME


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
