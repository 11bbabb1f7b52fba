"""Takes back what an operation did: the same edges walked backwards, each entry of the journal undone once.

What goes with a larger thing is left to that: where somebody uses the larger thing by now, it keeps all its parts.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial

from karbor.cloud.kind import KINDS
from karbor.engine import effects
from karbor.engine.run import describe
from karbor.engine.scope import Scope
from karbor.engine.steps import COMPLETE, HOOKS_OF_A_NODE
from karbor.engine.walk import Job, Walk
from karbor.store.journal import Entry

LOG = logging.getLogger(__name__)


class Rollback:
    """One backward pass; may be run again after a crash, and again when something would not go."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._steps = scope.steps
        self._stuck: set[int] = set()
        self._entries: dict[int, list[Entry]] = {}
        self._parts: dict[str, list[Entry]] = {}  # by the id of what takes them along
        self.left: list[str] = []
        """What could not be taken back, one sentence each."""
        made = {str(entry.value.get("id")) for entry in scope.log.entries() if entry.verb == "make" and _stands(entry)}
        for entry in scope.log.entries():
            whole = KINDS[entry.kind].goes_with(entry.value["body"]) if entry.verb == "make" else ""
            if whole in made:
                self._parts.setdefault(whole, []).append(entry)
            elif entry.verb == "after":
                earlier = entry.value["node"] * HOOKS_OF_A_NODE + COMPLETE
                self._steps.edge(earlier, entry.node * HOOKS_OF_A_NODE + entry.hook)
            elif entry.verb in ("make", "act") and _stands(entry):
                self._entries.setdefault(entry.node * HOOKS_OF_A_NODE + entry.hook, []).append(entry)

    def go(self) -> list[str]:
        """Undo everything that can be undone; what is left, with the reasons."""
        Walk(self._steps.after, self._steps.before, self._start, self._ended).go()
        return self.left

    def _start(self, step: int) -> Job | None:
        entries = self._entries.get(step)
        if not entries:
            return None
        if step in self._stuck:
            self.left.extend(f"{title(entry)} (what needs it is still there)" for entry in entries)
            return None
        return partial(self._scope.do, partial(self._undo, entries))

    def _undo(self, entries: list[Entry]) -> None:
        for entry in sorted(entries, key=lambda entry: entry.seq, reverse=True):
            effects.undo(self._scope, entry)
            for part in self._parts.pop(str(entry.value.get("id")), ()):
                self._scope.log.put(replace(part, state="removed"))

    def _ended(self, step: int, error: BaseException | None) -> None:
        if error is not None:
            reason = describe(error)
            resource = self._scope.graph.resources[self._steps.refs[step // HOOKS_OF_A_NODE]]
            LOG.info("what was done for %s could not be taken back: %s", resource, reason)
            self.left.append(f"{resource}: {reason}")
            self._stuck.add(step)
        if step in self._stuck:
            self._stuck.update(self._steps.before[step])


def _stands(entry: Entry) -> bool:
    return entry.state != "removed"


def title(entry: Entry) -> str:
    """An entry as people call it: what was made and its id."""
    return f"{entry.kind or entry.key} {entry.value.get('id', '')}".strip()
