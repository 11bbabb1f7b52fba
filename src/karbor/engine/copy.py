"""Copying a checkpoint within its bank: what lies there is written again under a new checkpoint, manifest last."""

from __future__ import annotations

import json

from karbor import clock
from karbor.engine.protect import MANIFEST, row_of
from karbor.engine.run import said
from karbor.engine.undertaking import Undertaking
from karbor.model.errors import BankCorrupt, Cancelled
from karbor.model.manifest import Manifest, SavedResource
from karbor.model.resource import Ref, ResourceGraph
from karbor.store import checkpoints, operations
from karbor.store.journal import Entry

_PROGRESS_SECONDS = 0.5

FINISHED = {"copy_status": "finished"}
"""What the `extra_info` of a copy says that has everything."""


class Copy(Undertaking):
    """The operation's checkpoint is the new one; its request names the `source_id`. No cloud is asked for anything."""

    verb = "copy"
    reversible = True
    _told = 0.0

    def forward(self) -> None:
        source = self.archive.read_manifest(self.project_id, self.source_id)
        graph = self.archive.read_graph(self.project_id, self.source_id)
        if self.row["status"] != operations.COPYING:
            checkpoints.update(self.database, self.checkpoint_id, status=operations.COPYING)
            self.start(graph, status=operations.COPYING)
        try:
            self.archive.begin(self.project_id, self.checkpoint_id, graph)
            manifest = self._committed_manifest(source, graph)
        except Cancelled as error:
            self.back(str(error))
            return
        self.archive.write_manifest(manifest)
        with self.database.begin() as connection:
            checkpoints.put(connection, row_of(manifest, stored=self.archive.stored_bytes(manifest)))
        bad = [said(f"{saved.ref.type} {saved.name!r}", saved.reason) for saved in manifest.resources if saved.reason]
        self.end(manifest.outcome, "; ".join(bad) or None)

    @property
    def source_id(self) -> str:
        """The checkpoint that is copied."""
        return str(self.request["source_id"])

    def back(self, reason: str) -> None:
        self.journal.update_operation(phase="rollback", error_info=reason)
        self.archive.entomb(self.project_id, self.checkpoint_id, reason)
        self.archive.remove(self.project_id, self.checkpoint_id)
        self.failed(reason)

    def failed(self, reason: str) -> None:
        checkpoints.update(
            self.database, self.checkpoint_id, status="error", reason=reason, ended_at=clock.now(), bytes_in_bank=0
        )
        super().failed(reason)

    def _committed_manifest(self, source: Manifest, graph: ResourceGraph) -> Manifest:
        """The manifest, which is journalled under this engine's claim before it goes into the bank."""
        entry = self.journal.entry(MANIFEST.name)
        if entry is not None:
            return Manifest.from_bytes(json.dumps(entry.value).encode())
        manifest = self._manifest(source, self._copied(source, graph))
        value = json.loads(manifest.to_bytes())
        self.journal.put(Entry(node=-1, hook=-1, verb="manifest", state="done", value=value), durable=True)
        return manifest

    def _copied(self, source: Manifest, graph: ResourceGraph) -> dict[Ref, str]:
        """Copy each resource, children first; for each why it was not, "" where it was."""
        saved = {each.ref: each for each in source.resources}
        reasons: dict[Ref, str] = {}
        node = {ref: number for number, ref in enumerate(graph.resources)}
        ended = self.journal.results()
        for ref in graph.children_first():
            before = ended.get(node[ref])
            if before is not None and before["status"]:
                reasons[ref] = before["reason"]
                continue
            lost = [str(graph.resources[child]) for child in graph.children[ref] if reasons[child]]
            because = f"not copied: it needs {', '.join(lost)}, which could not be copied" if lost else ""
            reasons[ref] = because or self._copy(node[ref], saved[ref])
            self.journal.put_result(node[ref], status="error" if reasons[ref] else "available", reason=reasons[ref])
        return reasons

    def _copy(self, node: int, saved: SavedResource) -> str:
        """Copy what one resource has in the bank; why that cannot be, "" where it went well.

        Raises Cancelled, what ended the journal, and BankError where the bank as a whole takes nothing.
        """
        if saved.status != "available":
            return f"not copied: checkpoint {self.source_id} has no good copy of it: {saved.reason}"
        if getattr(self.provider.plugins.get(saved.ref.type), self.verb, None) is None:
            return "not copied: its data is not in the bank but with a service of the cloud"
        self._check()
        try:
            self.archive.copy(
                self.project_id, self.source_id, self.checkpoint_id, saved,
                progress=lambda done: self._progress(node, done),
            )  # fmt: skip
        except BankCorrupt as error:
            self.archive.discard(self.project_id, self.checkpoint_id, saved.ref)
            return f"not copied: {error}"
        return ""

    def _progress(self, node: int, done: int) -> None:
        self._check()
        if clock.monotonic() - self._told > _PROGRESS_SECONDS:
            self._told = clock.monotonic()
            self.journal.put_result(node, done=done, unit="bytes")

    def _check(self) -> None:
        """Raises what ended the journal, or Cancelled."""
        self.journal.check()
        if self.journal.cancelled.is_set():
            raise Cancelled("the operation was cancelled")

    def _manifest(self, source: Manifest, reasons: dict[Ref, str]) -> Manifest:
        resources = tuple(self._saved(saved, reasons[saved.ref]) for saved in source.resources)
        whole = not any(reasons.values())
        return Manifest(
            checkpoint_id=self.checkpoint_id,
            project_id=self.project_id,
            provider_id=self.provider.id,
            outcome="available" if whole else "error",
            created_at=self.row["created_at"],
            ended_at=clock.now(),
            plan=source.plan,
            cloud=source.cloud,
            resources=resources,
            extra_info={**self.request["extra_info"], **(FINISHED if whole else {})},
        )

    def _saved(self, saved: SavedResource, reason: str) -> SavedResource:
        if reason:
            return SavedResource(saved.ref, saved.name, "error", reason, {}, saved.not_kept)
        found = self.archive.artifacts(self.project_id, self.checkpoint_id, saved.ref)
        artifacts = {name: found[name] for name in saved.artifacts}
        return SavedResource(saved.ref, saved.name, "available", "", saved.saved, saved.not_kept, artifacts)
