"""What tests of schedules have in common: how one is made and fired, and the trusts that there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from api_client import Client

from karbor.testing.rig import Rig

Fire = Callable[[dict[str, Any]], dict[str, Any]]
"""Makes a scheduled operation's trigger due now, and waits for the end of its run; the firing as it is shown."""


def create(client: Client, sent: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"scheduled_operation": {**sent, **more}}
    return dict(client.post("/scheduled_operations", body).ok("scheduled_operation"))


def trusts(rig: Rig) -> set[str]:
    """The trusts of the sandbox's Keystone that are good."""
    with rig.sandbox.state.lock:
        return {id for id, trust in rig.sandbox.state.table("trust").items() if not trust["deleted_at"]}
