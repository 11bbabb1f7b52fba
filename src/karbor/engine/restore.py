"""Restoring: an outline first, then exactly that; and what happens when it fails on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from karbor.banks.archive import NoSuchCheckpoint
from karbor.cloud.kind import KINDS
from karbor.engine.outline import Outline, plan
from karbor.engine.request import Request
from karbor.engine.retry import forgive
from karbor.engine.run import Run, said
from karbor.engine.scope import Scope
from karbor.engine.undertaking import Undertaking
from karbor.model.errors import Blocked, Invalid
from karbor.model.manifest import Manifest
from karbor.model.resource import ResourceGraph
from karbor.store.journal import Entry


class RestoreRequest(Request):
    """A restore that is only asked about."""

    verb = "restore"


def outline_of(request: Request) -> tuple[ResourceGraph, Outline]:
    """What a restore is going to do, and the graph that the outline's nodes are positions in; changes nothing.

    Raises Invalid (the checkpoint is going, or is in error and nothing is named), Blocked, BankError.
    """
    if request.archive.is_deleting(request.project_id, request.checkpoint_id):
        raise Invalid(f"checkpoint {request.checkpoint_id} is being deleted and cannot be restored any more")
    check_whole(request.manifest, request.request["resources"])
    graph = request.saved_graph()
    return graph, plan(request.scope(graph, request.facts()))


def check_whole(manifest: Manifest, wanted: Sequence[object]) -> None:
    """Raises Invalid where all of a checkpoint is wanted that does not have all."""
    if manifest.outcome == "error" and not wanted:
        raise Invalid(
            f"checkpoint {manifest.checkpoint_id} is in error; its good resources can be restored by naming them"
        )


class Restore(Undertaking):
    """A restore that is run."""

    verb = "restore"
    fail_status = "fail"
    reversible = True

    def forward(self) -> None:
        if self.row["phase"] == "kept":
            forgive(self.running_scope())
            self.journal.update_operation(phase="forward", status="in_progress", error_info=None, cancel=False)
            self.row = {**self.row, "phase": "forward"}
        if self.row["graph"] is None and not self._planned():
            return
        if not self._has_begun():
            self._check_decisions()
        keep = self.request["on_failure"] == "keep"
        reasons = Run(self.running_scope(), stop_on_failure=not keep).go()
        if not reasons:
            self.end("success")
            return
        reason = self._first(reasons)
        if keep and not self.journal.cancelled.is_set():
            self.journal.update_operation(phase="kept", status="fail", error_info=reason)
        else:
            self.back(reason)

    def keeps(self) -> bool:
        return self.request["on_failure"] == "keep" and not self.journal.cancelled.is_set() and self._has_begun()

    def _has_begun(self) -> bool:
        return any(entry.verb == "make" for entry in self.journal.entries())

    def running_scope(self) -> Scope:
        try:
            facts = self.facts()
        except NoSuchCheckpoint:
            if self.row["phase"] != "rollback":
                raise
            facts = {}  # a restore can be taken back when its checkpoint has long been deleted
        return self.scope(self.graph(), facts, self.journal)

    def _planned(self) -> bool:
        """Make the outline, keep it with its decisions; whether the restore can go on."""
        graph, outline = outline_of(self)
        for item in outline["items"]:
            if item["verb"] == "choose":
                self._decide(Entry(item["node"], item["hook"], "choose", key=item["key"]), {"choice": item["value"]})
            elif item["verb"] == "use":
                entry = Entry(item["node"], item["hook"], "use", item["kind"], *item["old"])
                self._decide(entry, {"id": item["id"]})
        blockers = [_said(graph, **blocker) for blocker in outline["blockers"]]
        if blockers:
            self.end("fail", "; ".join(blockers))
            return False
        self.start(graph, outline=outline)
        return True

    def _decide(self, entry: Entry, value: dict[str, object]) -> None:
        self.journal.put(replace(entry, state="done", value=value))

    def _check_decisions(self) -> None:
        """What the outline uses must still be there when the first thing is made. Raises Blocked."""
        for entry in self.journal.entries():
            if entry.verb == "use" and KINDS[entry.kind].get(self.cloud, entry.value["id"]) is None:
                raise Blocked(f"{entry.kind} {entry.value['id']}, which the outline uses, is gone; restore again")

    def _first(self, reasons: dict[int, str]) -> str:
        """The failure that began it: the first that is nobody else's consequence."""
        own = {node: reason for node, reason in reasons.items() if not reason.startswith(("not done", "stopped"))}
        return "; ".join(_said(self.graph(), node, reason) for node, reason in (own or reasons).items())


def _said(graph: ResourceGraph, node: int | None, reason: str) -> str:
    """A reason with the resource that it is about, where it is about one."""
    return reason if node is None else said(list(graph.resources.values())[node], reason)
