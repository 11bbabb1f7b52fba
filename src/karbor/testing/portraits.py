"""What an operation has brought about, without what differs from run to run: so that two runs can be compared."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from karbor.cloud.connection import Cloud
from karbor.cloud.kind import KINDS
from karbor.store import operations
from karbor.testing.rig import Rig

Portrait = dict[str, Any]
"""One value for each attribute of each thing, by a text that names both."""

NOTE = "note of"
"""How the names of notes begin."""
FLEETING = frozenset({"id", "hostId", "revision_number"})
"""What is another one each time, or may be."""
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?")


def of_restore(rig: Rig, cloud: Cloud, id: str) -> Portrait:
    """What stands in the cloud because of a restore, and what it said of its faithfulness."""
    entries = operations.entries(rig.database, id)
    made = [entry for entry in entries if entry["verb"] == "make" and entry["state"] in ("ready", "settled")]
    roles = {str(entry["value"]["id"]): f"<{entry['kind']} {entry['old_id']}>" for entry in made}
    portrait: Portrait = {}
    for entry in made:
        new = entry["value"]["id"]
        found = KINDS[entry["kind"]].get(cloud, new)
        portrait |= _attributes(roles[str(new)], found or {"": "gone"}, roles)
    for entry in entries:
        if entry["verb"] == "note":
            portrait |= _attributes(f"{NOTE} {entry['node']}", {entry["key"]: entry["value"]}, roles)
    return portrait


def of_checkpoint(rig: Rig, project_id: str, provider_id: str, checkpoint_id: str) -> Portrait:
    """What the manifest of a checkpoint holds of each resource."""
    manifest = rig.providers[provider_id].archive.read_manifest(project_id, checkpoint_id)
    portrait: Portrait = {}
    for saved in manifest.resources:
        facts = {**saved.saved, "not kept": list(saved.not_kept), "status": saved.status, "reason": saved.reason}
        portrait |= _attributes(str(saved.ref), facts, {})
    return portrait


def lasting(one: Portrait, other: Portrait) -> Portrait:
    """What two undisturbed runs agree on."""
    return {name: value for name, value in one.items() if name in other and other[name] == value}


def differences(portrait: Portrait, model: Portrait) -> list[str]:
    """Where a portrait is not like its model."""
    return [
        f"{name}: {portrait.get(name, 'nothing')!r} where an undisturbed run has {value!r}"
        for name, value in model.items()
        if name not in portrait or portrait[name] != value
    ]


def _attributes(what: str, thing: Mapping[str, Any], roles: Mapping[str, str]) -> Portrait:
    text = TIME.sub("<a time>", json.dumps(_lasting(thing)))
    for id, role in roles.items():
        text = text.replace(id, role)
    return {f"{what}, {name}": value for name, value in json.loads(text).items()}


def _lasting(value: Any) -> Any:
    """The value without what is new each time; objects with an id of their own are sorted, since they have no order."""
    if isinstance(value, Mapping):
        return {key: _lasting(each) for key, each in value.items() if key not in FLEETING}
    if isinstance(value, list):
        bare = [_lasting(each) for each in value]
        have_ids = all(isinstance(each, Mapping) and "id" in each for each in value)
        return sorted(bare, key=lambda each: json.dumps(each, sort_keys=True)) if have_ids else bare
    return value
