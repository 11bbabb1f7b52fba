"""A sandbox cloud with a state folder and engines on it: what scenario and contract tests stand on."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from karbor import clock
from karbor.cloud.connection import Cloud
from karbor.cloud.kind import Kind
from karbor.engine.discover import discover
from karbor.engine.scope import Settings
from karbor.engine.worker import Engine
from karbor.model.resource import Ref, ResourceGraph
from karbor.plugins import registry
from karbor.providers import OS_INFRA, Provider, load_providers
from karbor.sandbox import Sandbox
from karbor.store import operations
from karbor.testing.databases import open_test_state

PATIENCE = Settings(in_doubt=0.0, wait=20.0, wait_per_gib=0.0, delete_wait=20.0, retry=0.01)
"""For a sandbox without delays: no request outlives the engine that made it, since engines end with their threads."""


class Rig:
    """One sandbox (a context manager) and everything of Karbor that works on it, in `folder`.

    Without `durable` the database does not wait for the disk: enough where only engines die, not the whole machine.
    """

    def __init__(
        self, folder: Path, *, delay: float = 0.0, settings: Settings = PATIENCE, durable: bool = True
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.durable = durable
        self.sandbox = Sandbox(folder, delay=delay)
        self._clouds: dict[str, Cloud] = {}

    def __enter__(self) -> Rig:
        self.database = open_test_state(self.folder)
        if not self.durable and self.database.dialect.name == "sqlite":
            sa.event.listen(self.database, "connect", _never_wait)
            self.database.dispose()
        self.providers = load_providers(self.folder)
        self.sandbox.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.sandbox.stop()
        self.database.dispose()

    @property
    def provider(self) -> Provider:
        return self.providers[OS_INFRA]

    def cloud(self, name: str = "sandbox") -> Cloud:
        """A logged-in cloud: `sandbox`, `sandbox-b` or `sandbox-admin`."""
        if name not in self._clouds:
            self._clouds[name] = Cloud.connect(name, state=self.folder)
        return self._clouds[name]

    def engine(self, observer: Callable[[str], None] | None = None) -> Engine:
        """A new engine, as a new process would have."""
        return Engine(self.database, self.providers, self.settings, observer)

    def discover(self, *refs: Ref, cloud: str = "sandbox") -> ResourceGraph:
        return discover(registry.protectables(), self.cloud(cloud), refs)

    def start_protect(self, *refs: Ref, parameters: Mapping[str, Any] | None = None, cloud: str = "sandbox") -> str:
        graph = self.discover(*refs, cloud=cloud)
        return self.engine().start_protect(self.cloud(cloud), self.provider, graph, parameters=parameters)

    def protect(self, *refs: Ref, parameters: Mapping[str, Any] | None = None, cloud: str = "sandbox") -> Any:
        """Protect to the end; the operation's row."""
        return self.engine().run(self.start_protect(*refs, parameters=parameters, cloud=cloud), self.cloud(cloud))

    def restore(self, checkpoint_id: str, *, cloud: str = "sandbox", **request: Any) -> Any:
        """Restore to the end; the operation's row."""
        id = self.engine().start_restore(self.cloud(cloud), checkpoint_id, **request)
        return self.engine().run(id, self.cloud(cloud))

    def delete(self, checkpoint_id: str, *, cloud: str = "sandbox") -> Any:
        return self.engine().run(self.engine().start("delete", self.cloud(cloud), checkpoint_id), self.cloud(cloud))

    def verify(self, checkpoint_id: str, *, cloud: str = "sandbox") -> Any:
        return self.engine().run(self.engine().start("verify", self.cloud(cloud), checkpoint_id), self.cloud(cloud))

    def lose(self, kind: Kind, id: str, cloud: str = "sandbox") -> None:
        """Delete something and wait until it is gone."""
        kind.delete(self.cloud(cloud), id)
        for _ in range(500):
            if kind.get(self.cloud(cloud), id) is None:
                return
            clock.sleep(0.01)
        raise AssertionError(f"{kind.name} {id} does not go")

    def became(self, row: Mapping[str, Any], ref: Ref) -> str:
        """The id of what stands for `ref` after a restore; empty when nothing does."""
        for entry in reversed(operations.entries(self.database, row["id"])):
            if entry["verb"] in ("make", "use") and (entry["old_type"], entry["old_id"]) == (ref.type, ref.id):
                return str(entry["value"].get("id", ""))
        return ""

    def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """The sandbox's own admin calls: /sandbox/faults, /sandbox/counts, /sandbox/inventory, /sandbox/quotas/…"""
        request = urllib.request.Request(
            self.sandbox.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def fault(self, **fault: Any) -> None:
        """Ask for a fault on demand, see the sandbox's `faults` module."""
        self.ask("/sandbox/faults", "POST", fault)

    def inventory(self, cloud: str = "sandbox") -> Any:
        """Ids of everything that the project has, by kind."""
        return self.ask(f"/sandbox/inventory?project_id={self.cloud(cloud).project_id}")


def _never_wait(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")
