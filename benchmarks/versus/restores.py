"""Karbor's side of the comparison: real commands on a state folder of its own, and what their journals tell."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from versus.timed import PATIENCE, Span, Timed, seconds

from karbor import clock
from karbor.cloud.connection import Cloud
from karbor.engine.steps import SETTLE
from karbor.model.errors import KarborError
from karbor.model.resource import ResourceGraph
from karbor.store import operations
from karbor.store.database import open_state

CHANGES = ("make", "act")


class Restores:
    """Restores of one checkpoint. Nobody else uses the folder: all that it knows is taken back at the end."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self._cloud = cloud
        self._folder = folder

    def protect(self, servers: Iterable[str]) -> str:
        """Make the checkpoint; its id."""
        checkpoint = self._karbor("protect", *(f"server/{id}" for id in servers))["checkpoint"]
        return str(checkpoint["id"])

    def run(self, checkpoint: str) -> Timed:
        """Restore it, then take that back off the clock."""
        began = clock.monotonic()
        id = self._karbor("restore", checkpoint)["restore"]["id"]
        wall = clock.monotonic() - began
        timed = self._record(id, wall)
        self._karbor("operation", "rollback", id)
        return timed

    def take_back(self) -> None:
        """Undo what was interrupted, and each restore that stands."""
        for row in self._karbor("operation", "list")["operation_logs"]:
            if row["phase"] != "ended" or (row["operation_type"], row["status"]) == ("restore", "success"):
                self._karbor("operation", "rollback", row["id"])

    def forget(self) -> None:
        """Delete the checkpoint with its backups."""
        for row in self._karbor("checkpoint", "list")["checkpoints"]:
            if row["status"] != "deleted":
                self._karbor("checkpoint", "delete", row["id"])

    def _karbor(self, *words: str) -> Any:
        """Run a command, which has to go well; its document. Raises KarborError."""
        options = ("--state", str(self._folder), "--cloud", self._cloud.name, "--format", "json")
        # A session of its own: Ctrl-C reaches this process alone, which then takes back what the command has done.
        ended = subprocess.run(
            (sys.executable, "-P", "-m", "karbor", *words, *options),
            capture_output=True, text=True, timeout=PATIENCE, check=False, start_new_session=True,
        )  # fmt: skip
        if ended.returncode:
            raise KarborError(f"karbor {' '.join(words)}: exit status {ended.returncode}\n{ended.stderr.strip()}")
        return json.loads(ended.stdout)

    def _record(self, id: str, wall: float) -> Timed:
        """An operation in the words of its own journal: each create and each change until the next one of its hook."""
        database = open_state(self._folder)
        row = operations.get(database, id)
        resources = list(ResourceGraph.from_json(row["graph"]).resources)
        changes = [entry for entry in operations.entries(database, id) if entry["verb"] in CHANGES]
        spans = []
        for hook in operations.hooks(database, id):
            noun = resources[hook["node"]].type.rpartition("::")[2]
            words = [
                (f"{noun}: {entry['kind'] or entry['key'].split()[0]}", entry["at"])
                for entry in changes
                if (entry["node"], entry["hook"]) == (hook["node"], hook["hook"])
            ]
            if hook["hook"] >= SETTLE:
                words = [(f"{noun}: mark off", hook["started_at"])]
            for (what, at), (_, then) in pairwise([*words, ("", hook["ended_at"])]):
                spans.append(Span(what, seconds(row["started_at"], at), seconds(row["started_at"], then)))
        spans.append(Span("outline", 0.0, min(span.begin for span in spans)))
        return Timed(seconds(row["started_at"], row["ended_at"]), wall, spans)
