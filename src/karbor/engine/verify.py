"""Verifying: each plug-in proves what it can of what it saved, the engine that the indexes are the manifest's."""

from __future__ import annotations

from karbor.engine.run import Run, said
from karbor.engine.undertaking import Undertaking


class Verify(Undertaking):
    verb = "verify"
    fail_status = "fail"

    def forward(self) -> None:
        graph = self.saved_graph()
        self.start(graph)
        reasons = Run(self.scope(graph, self.facts(), self.journal)).go()
        refs = list(graph.resources.values())
        reason = "; ".join(said(refs[node], reason) for node, reason in reasons.items())
        self.end("fail" if reason else "success", reason or None)
