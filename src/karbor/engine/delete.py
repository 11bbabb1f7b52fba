"""Deleting a checkpoint: its tombstone first, then what lies in services, then what lies in the bank."""

from __future__ import annotations

from functools import partial

from karbor import clock
from karbor.banks.archive import NoSuchCheckpoint
from karbor.cloud.kind import KINDS
from karbor.engine import effects, waiting
from karbor.engine.intake import WAS
from karbor.engine.run import Run, said
from karbor.engine.scope import Scope
from karbor.engine.undertaking import Undertaking
from karbor.model.errors import Cancelled, KarborError, Unauthorized
from karbor.model.resource import ResourceGraph
from karbor.store import checkpoints, operations


class Delete(Undertaking):
    verb = "delete"
    fail_status = "error-deleting"

    def forward(self) -> None:
        if WAS in self.request:  # what ends it from here on can leave no whole checkpoint any more
            self.journal.update_operation(request={key: value for key, value in self.request.items() if key != WAS})
        self.archive.entomb(self.project_id, self.checkpoint_id, "deleted by its owner")
        self._record("deleting")
        graph = self._graph()
        self.start(graph)
        scope = self.scope(graph, self.facts() if len(graph) else {}, self.journal)
        left = self._sweep(scope)
        run = Run(scope)
        reasons = run.go()
        refs = list(graph.resources.values())
        reason = "; ".join([*left, *(said(refs[node], reason) for node, reason in reasons.items())])
        if not reason:
            self.archive.remove(self.project_id, self.checkpoint_id)
            gone = {"status": "deleted", "reason": "", "ended_at": clock.now()}
            self.end("deleted", also=partial(waiting.has_gone, row=self.row, changes=gone))
        elif not left and set(reasons) <= run.deferred:
            self.end("deleting", reason, also=partial(waiting.has_to_wait, row=self.row, reason=reason))
        else:
            self._record("error-deleting", reason)
            self.end("error-deleting", reason)

    def failed(self, reason: str) -> None:
        self._record("error-deleting", reason)
        super().failed(reason)

    def _sweep(self, scope: Scope) -> list[str]:
        """Remove what the protection could not; what does not go now either, with the reasons."""
        left = []
        for entry in operations.left_behind(self.database, self.checkpoint_id):
            try:
                effects.remove(scope, KINDS[entry["kind"]], entry["value"]["id"], cleaning=False)
            except (Cancelled, Unauthorized):
                raise
            except KarborError as error:
                left.append(str(error))
        return left

    def _graph(self) -> ResourceGraph:
        """The good resources of the checkpoint, which are all that still has something in a service."""
        try:
            graph = self.archive.read_graph(self.project_id, self.checkpoint_id)
            good = self.facts()
        except NoSuchCheckpoint:
            return ResourceGraph()  # an attempt, or a deletion that was all but over
        part = ResourceGraph()
        for ref, resource in graph.resources.items():
            if ref in good:
                part.add(resource)
        for ref in part.resources:
            part.link(ref, (child for child in graph.children[ref] if child in part))
        return part

    def _record(self, status: str, reason: str = "") -> None:
        checkpoints.update(self.database, self.checkpoint_id, status=status, reason=reason)
