"""A volume of the project sandbox with its plan and a checkpoint: what restores and verifications are tried on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api_client import OS_INFRA

from karbor.cloud.blockstorage import VOLUME

TYPE = VOLUME.type
PATH = f"/providers/{OS_INFRA}/checkpoints"
RUN = {
    "id", "project_id", "provider_id", "checkpoint_id", "parameters", "status", "resources_status", "resources_reason",
    "reason", "progress",
}  # fmt: skip
LOG = {
    "id", "operation_type", "checkpoint_id", "plan_id", "provider_id", "restore_id", "scheduled_operation_id", "status",
    "started_at", "ended_at", "error_info", "extra_info", "phase",
}  # fmt: skip


@dataclass
class Story:
    """A volume with its plan and a checkpoint of it that is available."""

    volume: str
    plan: Any
    created: Any
    checkpoint: Any


def restore_body(story: Story, **more: Any) -> dict[str, Any]:
    """What the client library sends."""
    body = {"provider_id": OS_INFRA, "checkpoint_id": story.checkpoint["id"], "parameters": {}}
    return {"restore": {**body, "restore_target": None, "restore_auth": None, **more}}
