"""Raw calls to Cinder, as the tests of the sandbox make them."""

from __future__ import annotations

from typing import Any

from openstack.connection import Connection

SERVER = "11111111-0000-4000-8000-000000000000"  # nobody's; Cinder does not ask Nova


class Cinder:
    """Raw calls of one project, at 3.70 unless said otherwise, that fail a test which expects another status."""

    def __init__(self, cloud: Connection) -> None:
        self.cloud = cloud

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        expect: int = 200,
        version: str = "3.70",
    ) -> Any:
        answered = self.cloud.block_storage.request(path, method, json=body, microversion=version)
        assert answered.status_code == expect, f"{method} {path}: {answered.status_code} {answered.text}"
        return answered.json() if answered.content else None

    def volume(self, expect: int = 202, **facts: Any) -> Any:
        answered = self.call("POST", "/volumes", {"volume": facts}, expect)
        return answered["volume"]["id"] if expect == 202 else answered

    def snapshot(self, volume: str, expect: int = 202, version: str = "3.70", **facts: Any) -> Any:
        answered = self.call("POST", "/snapshots", {"snapshot": {"volume_id": volume, **facts}}, expect, version)
        return answered["snapshot"]["id"] if expect == 202 else answered

    def backup(self, volume: str, expect: int = 202, **facts: Any) -> Any:
        answered = self.call("POST", "/backups", {"backup": {"volume_id": volume, **facts}}, expect, "3.64")
        return answered["backup"]["id"] if expect == 202 else answered

    def act(self, volume: str, name: str, arguments: dict[str, Any], expect: int = 202, version: str = "3.70") -> Any:
        return self.call("POST", f"/volumes/{volume}/action", {name: arguments}, expect, version)

    def show(self, kind: str, id: str) -> Any:
        return self.call("GET", f"/{kind}s/{id}")[kind]

    def status(self, kind: str, id: str) -> str:
        return str(self.show(kind, id)["status"])

    def gone(self, kind: str, id: str) -> None:
        self.call("GET", f"/{kind}s/{id}", expect=404)
