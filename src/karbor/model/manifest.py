"""The manifest of a checkpoint: all that its protect run saved, and enough to restore it without Karbor's database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from karbor.model.errors import FormatTooNew
from karbor.model.resource import Ref

FORMAT = 1
"""The format that this version writes, and the newest that it reads."""
OUTCOMES = ("available", "error")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SavedResource:
    """One resource of the checkpoint and what is kept of it."""

    ref: Ref
    name: str
    status: str
    """`available`, or `error` with a `reason`."""
    reason: str = ""
    saved: Mapping[str, Any] = field(default_factory=dict)
    """Facts that its plug-in kept, as JSON values."""
    not_kept: tuple[str, ...] = ()
    """What could not be captured, one sentence each."""
    artifacts: Mapping[str, str] = field(default_factory=dict)
    """For each artifact in its section the BLAKE3 hash of the artifact's index, in hexadecimal."""

    def to_json(self) -> dict[str, Any]:
        return {
            "type": self.ref.type,
            "id": self.ref.id,
            "name": self.name,
            "status": self.status,
            "reason": self.reason,
            "saved": dict(self.saved),
            "not_kept": list(self.not_kept),
            "artifacts": dict(self.artifacts),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SavedResource:
        return cls(
            ref=Ref(_take(data, "type", str), _take(data, "id", str)),
            name=_take(data, "name", str),
            status=_take(data, "status", str),
            reason=_take(data, "reason", str),
            saved=_take(data, "saved", dict),
            not_kept=tuple(_all(data, "not_kept", str)),
            artifacts=_texts(data, "artifacts"),
        )


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """The plan as it was when the checkpoint was made; `resources` and `parameters` as the v1 API shows them."""

    id: str
    name: str
    resources: tuple[Mapping[str, Any], ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "resources": [dict(resource) for resource in self.resources],
            "parameters": dict(self.parameters),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SavedPlan:
        return cls(
            id=_take(data, "id", str),
            name=_take(data, "name", str),
            resources=tuple(_all(data, "resources", dict)),
            parameters=_take(data, "parameters", dict),
        )


@dataclass(frozen=True, slots=True)
class SavedCloud:
    """The cloud that the resources lived in."""

    auth_url: str
    region: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A finished checkpoint. `outcome` is one of OUTCOMES; times are as `karbor.clock.now` writes them."""

    checkpoint_id: str
    project_id: str
    provider_id: str
    outcome: str
    created_at: str
    ended_at: str
    plan: SavedPlan
    cloud: SavedCloud
    resources: tuple[SavedResource, ...] = ()
    extra_info: Mapping[str, Any] = field(default_factory=dict)
    """What the caller noted on the checkpoint (the v1 API's `extra_info`)."""

    def to_bytes(self) -> bytes:
        """The manifest as UTF-8 JSON, always the same bytes for the same manifest."""
        document = {
            "format": FORMAT,
            "checkpoint_id": self.checkpoint_id,
            "project_id": self.project_id,
            "provider_id": self.provider_id,
            "outcome": self.outcome,
            "created_at": self.created_at,
            "ended_at": self.ended_at,
            "plan": self.plan.to_json(),
            "cloud": {"auth_url": self.cloud.auth_url, "region": self.cloud.region},
            "extra_info": dict(self.extra_info),
            "resources": [resource.to_json() for resource in self.resources],
        }
        return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"

    @classmethod
    def from_bytes(cls, raw: bytes) -> Manifest:
        """The manifest in `raw`; fields that this version does not know are passed over.

        Raises FormatTooNew, and ValueError saying what is wrong when `raw` is no manifest.
        """
        data = json.loads(raw)
        if not isinstance(data, dict):
            raise ValueError("it is not a JSON object")
        check_format(_take(data, "format", int), "the manifest")
        cloud = _take(data, "cloud", dict)
        outcome = _take(data, "outcome", str)
        if outcome not in OUTCOMES:
            raise ValueError(f"its outcome {outcome!r} is none of {', '.join(OUTCOMES)}")
        return cls(
            checkpoint_id=_take(data, "checkpoint_id", str),
            project_id=_take(data, "project_id", str),
            provider_id=_take(data, "provider_id", str),
            outcome=outcome,
            created_at=_take(data, "created_at", str),
            ended_at=_take(data, "ended_at", str),
            plan=SavedPlan.from_json(_take(data, "plan", dict)),
            cloud=SavedCloud(_take(cloud, "auth_url", str), _take(cloud, "region", str)),
            resources=tuple(SavedResource.from_json(item) for item in _all(data, "resources", dict)),
            extra_info=_take(data, "extra_info", dict),
        )


def check_format(found: int, what: str) -> None:
    """Raises FormatTooNew when `what` was written in a later format than this version reads."""
    if found > FORMAT:
        raise FormatTooNew(
            f"{what} has format {found}, and this version of Karbor reads up to {FORMAT}: use a newer Karbor for it"
        )


def _take(data: Mapping[str, Any], name: str, kind: type[_T]) -> _T:
    value = data.get(name)
    if not isinstance(value, kind):
        raise ValueError(f"its {name!r} is {value!r:.60}, not a {kind.__name__}")
    return value


def _all(data: Mapping[str, Any], name: str, kind: type[_T]) -> list[_T]:
    values = _take(data, name, list)
    for value in values:
        if not isinstance(value, kind):
            raise ValueError(f"its {name!r} has {value!r:.60}, not a {kind.__name__}")
    return values


def _texts(data: Mapping[str, Any], name: str) -> dict[str, str]:
    values = _take(data, name, dict)
    for key, value in values.items():
        if not isinstance(value, str):
            raise ValueError(f"its {name!r} has {value!r:.60} for {key!r}, not a str")
    return values
