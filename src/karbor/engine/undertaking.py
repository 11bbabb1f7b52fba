"""One claimed operation from its row to its end: what all verbs have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import sqlalchemy as sa

from karbor import clock
from karbor.cloud.connection import Cloud
from karbor.engine.request import Request
from karbor.engine.rollback import Rollback
from karbor.engine.run import Run
from karbor.engine.scope import Scope, Settings, suspend
from karbor.model.errors import KarborError, Unauthorized
from karbor.model.resource import ResourceGraph
from karbor.providers import Provider
from karbor.store import operations
from karbor.store.journal import Also, Journal


class Undertaking(Request):
    """A claimed operation. A verb says what `forward` does and how the records end."""

    fail_status: ClassVar[str] = "error"
    reversible: ClassVar[bool] = False
    """Whether a failure is followed by taking everything back."""

    def __init__(
        self, database: sa.Engine, row: Mapping[str, Any], cloud: Cloud, provider: Provider, settings: Settings,
        journal: Journal,
    ) -> None:  # fmt: skip
        super().__init__(row, cloud, provider, settings)
        self.database = database
        self.journal = journal

    def run(self) -> None:
        """Go on from wherever the operation is."""
        try:
            if self.row["phase"] == "rollback":
                self.back(self.row["error_info"] or "rolled back")
            else:
                self.forward()
        except KarborError as error:
            self.journal.check()  # where the journal cannot be written the operation stays as it is, to be resumed
            if isinstance(error, Unauthorized) and self.suspends:
                suspend(self.journal, error)
            self._broke(str(error))

    def forward(self) -> None:
        """Do it, or what is left of it."""
        raise NotImplementedError

    def keeps(self) -> bool:
        """Whether what has been made stays when it fails, so that a person can have it tried again."""
        return False

    def concluded_back(self, reason: str) -> None:
        """Everything has been taken back: end the verb's own records."""

    def graph(self) -> ResourceGraph:
        """The graph of an operation that has started."""
        return ResourceGraph.from_json(self.row["graph"])

    def running_scope(self) -> Scope:
        """The scope of an operation that has started."""
        return self.scope(self.graph(), {}, self.journal)

    def back(self, reason: str) -> None:
        """Take everything back, cleaning up first what was in the middle."""
        self.journal.update_operation(phase="rollback", error_info=reason)
        scope = self.running_scope()
        Run(scope, stopping=reason).go()
        left = Rollback(scope).go()
        standing = {entry.node for entry in self.journal.entries() if entry.verb == "make" and entry.state != "removed"}
        for node, result in self.journal.results().items():
            if not result["reason"] and not (left and node in standing):
                self.journal.put_result(node, status="error", reason=f"taken back: {reason}")
        if left:
            note = f"{reason}; could not be taken back: {'; '.join(left)}"
            self.journal.update_operation(status=self.fail_status, error_info=note)
            return  # stays in its phase, so that a person can ask for it once more
        self.concluded_back(reason)
        self.end(self.fail_status, reason)

    def failed(self, reason: str) -> None:
        """It cannot be done, and nothing has been done that would have to be taken back: end all records."""
        self.end(self.fail_status, reason)

    def end(self, status: str, error_info: str | None = None, also: Also | None = None) -> None:
        """The operation is over; what it is to others is written `also`, in the same transaction."""
        self.journal.update_operation(
            phase="ended", status=status, error_info=error_info, ended_at=clock.now(), also=also
        )

    def start(self, graph: ResourceGraph, **changes: Any) -> None:
        """Record the graph that the operation is about to walk."""
        self.journal.update_operation(graph=graph.to_json(), **changes)
        self.row = operations.get(self.database, self.row["id"])

    def _broke(self, reason: str) -> None:
        """Something that is no resource's own failed: the bank, the checkpoint, the cloud as a whole."""
        if self.row["phase"] in ("kept", "rollback"):  # where it stays, so that a person can ask once more
            self.journal.update_operation(status=self.fail_status, error_info=reason)
        elif self.keeps():
            self.journal.update_operation(phase="kept", status=self.fail_status, error_info=reason)
        elif self.reversible and self.row["graph"] is not None:
            self.row = {**self.row, "phase": "rollback", "error_info": reason}
            self.run()
        else:
            self.failed(reason)
