"""QoS policies: an operator's, so they are recorded by id and name and looked up again, never made."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import quote

from karbor.cloud.connection import Cloud
from karbor.model.errors import Gone
from karbor.plugins.base import Context

PATH = "/qos/policies"


def saved_policy(cloud: Cloud, id: str | None) -> dict[str, str] | None:
    """What is kept of the policy `id`: `id` and `name` (empty where it cannot be read)."""
    if not id:
        return None
    policy = _read(cloud, id)
    return {"id": id, "name": policy["name"] if policy else ""}


def policy_here(ctx: Context, saved: dict[str, str] | None) -> str | None:
    """The id of the same policy in the target: by id, then by name; None, and a note, where there is none."""
    if saved is None:
        return None
    id: str | None = ctx.choose(f"QoS policy {saved['id']}", partial(_find, saved))
    if id is None:
        ctx.note("qos_policy_id", "cannot", f"there is no QoS policy {saved['name'] or saved['id']!r} for this project")
    elif id != saved["id"]:
        ctx.note("qos_policy_id", "mapped", f"the policy of the same name, {saved['name']!r}")
    return id


def _find(saved: dict[str, str], cloud: Cloud) -> str | None:
    if "qos" not in cloud.extensions():
        return None
    if _read(cloud, saved["id"]):
        return saved["id"]
    policies = cloud.pages("network", PATH, "policies", params={"name": saved["name"]})
    named = [policy["id"] for policy in policies if saved["name"] and policy["name"] == saved["name"]]
    return named[0] if len(named) == 1 else None


def _read(cloud: Cloud, id: str) -> dict[str, Any] | None:
    try:
        policy: dict[str, Any] = cloud.get("network", f"{PATH}/{quote(id, safe='')}")["policy"]
    except Gone:
        return None
    return policy
