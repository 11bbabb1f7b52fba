"""Protecting: hooks save what the plan names into a new checkpoint, whose manifest is written last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from karbor import clock
from karbor.engine import waiting
from karbor.engine.discover import discover
from karbor.engine.request import check_options, without_effect
from karbor.engine.run import Run, said
from karbor.engine.undertaking import Undertaking
from karbor.model.errors import Cancelled
from karbor.model.manifest import Manifest, SavedCloud, SavedPlan, SavedResource
from karbor.model.resource import Ref, Resource, ResourceGraph
from karbor.plugins import registry
from karbor.store import checkpoints
from karbor.store.journal import Also, Entry

MANIFEST = Entry(node=-1, hook=-1, verb="manifest")


class Protect(Undertaking):
    verb = "protect"
    reversible = True

    def forward(self) -> None:
        if self.row["graph"] is None:
            self.start(self._discovered())
        graph = self.graph()
        scope = self.scope(graph, {}, self.journal)
        self.archive.begin(self.project_id, self.checkpoint_id, graph)
        failed = Run(scope).go()
        if self.journal.cancelled.is_set():
            self.back("the operation was cancelled")
            return
        for node in failed:  # what they have written is of no use, and on a full bank the manifest needs the room
            self.archive.discard(self.project_id, self.checkpoint_id, scope.steps.refs[node])
        manifest = self._committed_manifest(graph)
        self.archive.write_manifest(manifest)
        self._record(manifest)
        told = [said(f"{saved.ref.type} {saved.name!r}", saved.reason) for saved in manifest.resources if saved.reason]
        told += (
            f"the options for {key} had no effect: it is not there any more, or no part of this"
            for key in self._idle(graph)
        )
        self.end(manifest.outcome, "; ".join(told) or None)

    def failed(self, reason: str) -> None:
        resources = [{**item, "status": "error", "reason": reason} for item in self.request["plan"]["resources"]]
        checkpoints.update(
            self.database, self.checkpoint_id, status="error", reason=reason, ended_at=clock.now(), resources=resources
        )
        super().failed(reason)

    def _discovered(self) -> ResourceGraph:
        """What the plan's resources need. Raises Cancelled, Invalid (no plug-in, wrong option), and as `discover`."""
        if self.journal.cancelled.is_set():
            raise Cancelled("the operation was cancelled")
        wanted = [Ref(item["type"], item["id"]) for item in self.request["plan"]["resources"]]
        graph = discover(registry.protectables(), self.cloud, wanted)
        idle = self._idle(graph)
        parameters = {key: given for key, given in self.request["parameters"].items() if key not in idle}
        check_options("protect", self.provider, graph.resources, parameters)
        return graph

    def _idle(self, graph: ResourceGraph) -> list[str]:
        """What a plan has options for and does not find: no failure, since plans outlive what they name options for."""
        return without_effect(graph.resources, self.request["parameters"])

    def concluded_back(self, reason: str) -> None:
        self.archive.entomb(self.project_id, self.checkpoint_id, reason)
        self.archive.remove(self.project_id, self.checkpoint_id)
        resources = [{**item, "status": "error", "reason": reason} for item in self._documents(self.graph())]
        checkpoints.update(
            self.database, self.checkpoint_id, status="error", reason=reason, ended_at=clock.now(), resources=resources
        )

    def end(self, status: str, error_info: str | None = None, also: Also | None = None) -> None:
        if status == "error":  # what was not saved has gone from its service, where a deletion may wait for that
            also = partial(waiting.has_gone, row=self.row)
        super().end(status, error_info, also)

    def _committed_manifest(self, graph: ResourceGraph) -> Manifest:
        """The manifest, whose bytes are journalled under this engine's claim before they go into the bank."""
        entry = self.journal.entry(MANIFEST.name)
        if entry is None:
            manifest = self._manifest(graph)
            value = json.loads(manifest.to_bytes())
            self.journal.put(Entry(node=-1, hook=-1, verb="manifest", state="done", value=value), durable=True)
            return manifest
        return Manifest.from_bytes(json.dumps(entry.value).encode())

    def _manifest(self, graph: ResourceGraph) -> Manifest:
        results = self.journal.results()
        resources = tuple(
            self._saved(node, resource, results[node]) for node, resource in enumerate(graph.resources.values())
        )
        plan = self.request["plan"]
        return Manifest(
            checkpoint_id=self.checkpoint_id,
            project_id=self.project_id,
            provider_id=self.provider.id,
            outcome="error" if any(saved.status == "error" for saved in resources) else "available",
            created_at=self.row["created_at"],
            ended_at=clock.now(),
            plan=SavedPlan(plan["id"], plan["name"], tuple(plan["resources"]), self.request.get("parameters", {})),
            cloud=SavedCloud(self.cloud.auth_url, self.cloud.region),
            resources=resources,
            extra_info=self.request.get("extra_info", {}),
        )

    def _saved(self, node: int, resource: Resource, result: Mapping[str, Any]) -> SavedResource:
        ref = resource.ref
        good = result["status"] == "available"
        kept = {entry.key: entry.value for entry in self.journal.of_node(node, "keep")}
        lost = tuple(f"{entry.key}: {entry.value}" for entry in self.journal.of_node(node, "not_kept"))
        return SavedResource(
            ref,
            resource.name,
            result["status"],
            result["reason"],
            kept if good else {},
            lost,
            self.archive.artifacts(self.project_id, self.checkpoint_id, ref) if good else {},
        )

    def _record(self, manifest: Manifest) -> None:
        with self.database.begin() as connection:
            checkpoints.put(connection, row_of(manifest, stored=self.archive.stored_bytes(manifest)))

    @staticmethod
    def _documents(graph: ResourceGraph) -> list[dict[str, Any]]:
        return [{"type": r.type, "id": r.id, "name": r.name} for r in graph.resources.values()]


def row_of(manifest: Manifest, status: str | None = None, *, stored: int) -> Mapping[str, Any]:
    """The database's row of a checkpoint, from its manifest and the bytes that are `stored` of it in the bank."""
    bad = next((saved.reason for saved in manifest.resources if saved.status == "error"), "")
    return {
        "id": manifest.checkpoint_id,
        "project_id": manifest.project_id,
        "provider_id": manifest.provider_id,
        "status": status or manifest.outcome,
        "reason": bad,
        "plan": manifest.plan.to_json(),
        "resources": [
            {
                "type": saved.ref.type, "id": saved.ref.id, "name": saved.name, "status": saved.status,
                "reason": saved.reason, "not_kept": list(saved.not_kept),
            }
            for saved in manifest.resources
        ],
        "extra_info": dict(manifest.extra_info),
        "cloud": {"auth_url": manifest.cloud.auth_url, "region": manifest.cloud.region},
        "created_at": manifest.created_at,
        "ended_at": manifest.ended_at,
        "plan_id": manifest.plan.id,
        "bytes_in_bank": stored,
    }  # fmt: skip
