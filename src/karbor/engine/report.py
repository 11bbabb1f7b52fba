"""The documents that tell what was done, built from rows, journals and results: for the command line and the API alike.

Statuses are those of the v1 API; times are ISO 8601 with microseconds, null for what has not happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from karbor.cloud import blockstorage, images, networks, servers  # noqa: F401  (the kinds that journals name)
from karbor.cloud.kind import KINDS
from karbor.engine.outline import Outline
from karbor.model.resource import Ref, Resource, ResourceGraph
from karbor.store import checkpoints, operations

Row = Mapping[str, Any]
Document = dict[str, Any]

NOUNS = {
    "protect": "checkpoint", "delete": "checkpoint", "copy": "checkpoint", "restore": "restore",
    "verify": "verification",
}  # fmt: skip
"""What each verb's document is called."""

SECRET = frozenset({"user_data"})
"""Options and attributes in which people hand passwords to guests: they are kept, and documents tell only that."""
MASKED = "(not shown)"


def subject(database: sa.Engine, row: Row) -> tuple[str, Document]:
    """The document of what an operation is about, with its name: a checkpoint, a restore or a verification."""
    noun = NOUNS[row["operation_type"]]
    if noun == "restore":
        return noun, restore_document(database, row)
    if noun == "verification":
        return noun, verification_document(database, row)
    checkpoint = checkpoints.get(database, row["checkpoint_id"])
    return noun, {**checkpoint_document(database, checkpoint), "operation_id": row["id"]}


def checkpoint_document(database: sa.Engine, row: Row) -> Document:
    """A checkpoint; while it is being made its resources are as far as its operation is."""
    resources = row["resources"] or _resources_under_way(database, row)
    return {
        "id": row["id"],
        "name": row["plan"]["name"],
        "status": row["status"],
        "reason": row["reason"],
        "project_id": row["project_id"],
        "provider_id": row["provider_id"],
        "created_at": row["created_at"],
        "ended_at": row["ended_at"],
        "resources": [{"status": row["status"], "reason": "", "not_kept": [], **item} for item in resources],
        "protection_plan": masked(row["plan"]),
        "extra_info": row["extra_info"],
        "cloud": row["cloud"],
    }


def restore_document(database: sa.Engine, row: Row) -> Document:
    """A restore: each resource with what it became, and everything that was made, used, noted and left behind.

    `made` holds what exists because of it; `left` the same where taking it back has not succeeded. Of a restore that
    was taken back nothing is left to tell but why.
    """
    entries = [] if _is_taken_back(row) else _entries(database, row)
    made = [_made(entry) for entry in entries if entry["verb"] == "make" and _stands(entry)]
    graph = _graph(row)
    return {
        **_run_facts(row),
        "resources": restored_resources(row, entries, operations.results(database, row["id"])),
        "made": made,
        "used": [
            {"kind": entry["kind"], "original_id": entry["old_id"], "id": entry["value"]["id"]}
            for entry in entries
            if entry["verb"] == "use"
        ],
        "left": made if row["phase"] == "rollback" else [],
        "notes": _notes(graph, entries),
    }


def restored_resources(row: Row, entries: Iterable[Row], results: Mapping[int, Row]) -> list[Document]:
    """Each resource of a restore with the id of what it became, null where nothing stands for it, and its outcome."""
    became = {} if _is_taken_back(row) else _became(entries)
    return [
        {
            "type": resource.type,
            "name": resource.name,
            "original_id": resource.id,
            "restored_id": became.get(resource.ref),
            **_outcome(results.get(node), "restoring"),
        }
        for node, resource in enumerate(_graph(row).resources.values())
    ]


def verification_document(database: sa.Engine, row: Row) -> Document:
    """A verification: what was proved of each resource, and in which way."""
    return {
        **_run_facts(row),
        "resources": verified_resources(row, operations.results(database, row["id"])),
        "notes": _notes(_graph(row), _entries(database, row)),
    }


def verified_resources(row: Row, results: Mapping[int, Row]) -> list[Document]:
    """Each resource of a verification with its outcome."""
    return _resources(_graph(row), results, "verifying")


def operation_document(row: Row) -> Document:
    """An operation log. `phase` is `forward`, `rollback`, `kept` (failed, to be resumed or rolled back) or `ended`."""
    plan = row["request"].get("plan") or {}
    return {
        "id": row["id"],
        "operation_type": row["operation_type"],
        "status": row["status"],
        "phase": row["phase"],
        "project_id": row["project_id"],
        "provider_id": row["provider_id"],
        "checkpoint_id": row["checkpoint_id"],
        "plan_id": plan.get("id"),
        "restore_id": row["id"] if row["operation_type"] == "restore" else None,
        "scheduled_operation_id": row["request"].get("extra_info", {}).get("scheduled_operation_id"),
        "cloud": row["cloud"],
        "created_at": row["created_at"],
        "started_at": row["started_at"],
        "ended_at": row["ended_at"],
        "error_info": row["error_info"],
    }


def outline_document(checkpoint_id: str, graph: ResourceGraph, outline: Outline) -> Document:
    """What a restore is going to do, each item with the resource that it is for."""
    resources = list(graph.resources.values())
    return {
        "checkpoint_id": checkpoint_id,
        "items": [
            {"resource": _identity(resources[item["node"]]), **masked(_without_position(item))}
            for item in outline["items"]
        ],
        "blockers": [
            {
                "resource": None if item["node"] is None else _identity(resources[item["node"]]),
                "reason": item["reason"],
            }
            for item in outline["blockers"]
        ],
        "needs": outline["needs"],
    }


def instance_document(resource: Resource, children: Iterable[Resource] | None = None) -> Document:
    """A resource of a cloud that can be protected; with `children` also what it directly needs."""
    document = {**_identity(resource), "extra_info": dict(resource.extra_info)}
    if children is not None:
        document["dependent_resources"] = [instance_document(child) for child in children]
    return document


def masked(value: Any) -> Any:
    """A JSON value with a word instead of each secret in it."""
    if isinstance(value, Mapping):
        return {name: MASKED if name in SECRET and part else masked(part) for name, part in value.items()}
    return [masked(part) for part in value] if isinstance(value, list | tuple) else value


def _is_taken_back(row: Row) -> bool:
    return bool(row["phase"] == "ended" and row["status"] != "success")


def _run_facts(row: Row) -> Document:
    names = ("id", "status", "phase", "checkpoint_id", "project_id", "provider_id", "started_at", "ended_at")
    return {**{name: row[name] for name in names}, "error_info": row["error_info"]}


def _resources_under_way(database: sa.Engine, row: Row) -> list[Document]:
    for operation in operations.rows(database, project_id=row["project_id"], open_only=True):
        if operation["checkpoint_id"] == row["id"] and operation["operation_type"] in ("protect", "copy"):
            return _resources(_graph(operation), operations.results(database, operation["id"]), row["status"])
    return []


def _entries(database: sa.Engine, row: Row) -> list[Row]:
    """The journal, which names resources by their position; the graph may have been written after the row was read."""
    return [] if row["graph"] is None else operations.entries(database, row["id"])


def _graph(row: Row) -> ResourceGraph:
    return ResourceGraph() if row["graph"] is None else ResourceGraph.from_json(row["graph"])


def _resources(graph: ResourceGraph, results: Mapping[int, Row], meanwhile: str) -> list[Document]:
    return [
        {**_identity(resource), **_outcome(results.get(node), meanwhile)}
        for node, resource in enumerate(graph.resources.values())
    ]


def _outcome(result: Row | None, meanwhile: str) -> Document:
    """How a resource has come out; `meanwhile` as long as it has not."""
    found = result or {"status": "", "reason": ""}
    return {"status": found["status"] or meanwhile, "reason": found["reason"]}


def _identity(resource: Resource) -> Document:
    return {"type": resource.type, "id": resource.id, "name": resource.name}


def _stands(entry: Row) -> bool:
    """Whether what an entry made exists, as far as its journal knows."""
    return bool(entry["value"].get("id")) and entry["state"] != "removed"


def _became(entries: Iterable[Row]) -> dict[Ref, str]:
    """For each resource the id of what was made or is used in its place."""
    became = {}
    for entry in entries:
        if entry["verb"] not in ("make", "use") or entry["temporary"] or entry["state"] == "failed":
            continue
        kind = KINDS.get(entry["kind"])
        if _stands(entry) and (kind is None or kind.type == entry["old_type"]):
            became[Ref(entry["old_type"], entry["old_id"])] = str(entry["value"]["id"])
    return became


def _made(entry: Row) -> Document:
    body = entry["value"].get("body") or {}
    kind = KINDS.get(entry["kind"])
    return {
        "kind": entry["kind"],
        "name": kind.title(body) if kind else str(body.get("name") or ""),
        "id": entry["value"]["id"],
        "original_id": entry["old_id"],
        "addresses": entry["value"].get("addresses", []),
        "temporary": entry["temporary"],
    }


def _notes(graph: ResourceGraph, entries: Iterable[Row]) -> list[Document]:
    """What was said of single attributes: `same`, `mapped` or `cannot`, and why."""
    resources = list(graph.resources.values())
    return [
        {"resource": _identity(resources[entry["node"]]), "attribute": entry["key"], **entry["value"]}
        for entry in entries
        if entry["verb"] == "note"
    ]


def _without_position(item: Mapping[str, Any]) -> Document:
    return {name: value for name, value in item.items() if name not in ("node", "hook")}
