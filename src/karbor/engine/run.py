"""Runs the hooks of an operation forward: what may start, what has to be skipped, and what is cleaned up regardless."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from karbor import clock
from karbor.engine import effects
from karbor.engine.context import HookContext
from karbor.engine.outline import overrides
from karbor.engine.scope import Scope
from karbor.engine.steps import BEGIN, COMPLETE, FINISH, HOOKS_OF_A_NODE, MAIN, SETTLE, UNTAG
from karbor.engine.walk import Hopeless, Job, Walk
from karbor.model.errors import Cancelled, Deferred, KarborError, Unauthorized
from karbor.plugins.base import HOOKS
from karbor.store.journal import Entry

LOG = logging.getLogger(__name__)

GOOD = {"protect": "available", "restore": "available", "verify": "available", "copy": "available", "delete": "deleted"}
"""What a resource is when its verb has gone well."""
UNTAGGED_AT_ONCE = 8
"""Objects of one resource whose tags come off side by side; a server with many ports has many."""


class Run:
    """One forward pass over an operation's graph, also one that goes on after a crash.

    `stopping`, if given, is why nothing new may start: then the pass only cleans up. With `stop_on_failure`
    the first failure of any resource has that effect.
    """

    def __init__(self, scope: Scope, *, stop_on_failure: bool = False, stopping: str = "") -> None:
        self._scope = scope
        self._steps = scope.steps
        self._parents = scope.parents
        self._stop_on_failure = stop_on_failure
        self._stopping = stopping
        self._why_not: dict[int, str] = {}  # steps that must not run, and the failure that is the reason
        self._started: dict[int, str] = {}  # steps that run now, and since when
        self._doomed: set[int] = set()
        self._reasons: dict[int, str] = {}  # by node: the first thing that went wrong with it
        self.deferred: set[int] = set()
        """Nodes that have to wait for something else to go first, with all that wait for them."""

    def go(self) -> dict[int, str]:
        """Run to the end; the nodes that did not go well, with the reason."""
        Walk(self._steps.before, self._steps.after, self._start, self._ended, self._scope.over).go()
        return self._reasons

    def _start(self, step: int) -> Job | None:
        node, hook = divmod(step, HOOKS_OF_A_NODE)
        if hook == SETTLE:
            return self._start_settling(step, node)
        if hook == UNTAG:
            return self._start_untagging(step, node)
        began = self._started.pop(step, None)  # it may have been put aside
        operation = self._scope.operations[self._steps.refs[node]]
        if not overrides(operation, hook):
            return None
        if self._was_recorded(step, node, hook):
            return None
        why_not = self._why_not.get(step) or self._stop_reason()
        failed: KarborError | None = None
        if why_not:
            if hook != FINISH or self._scope.log.hook(node, BEGIN) is None:
                self._skip(step, node, hook, why_not)
                return None
            failed = KarborError(why_not)
            self._why_not[step] = why_not
        self._started[step] = began or clock.now()
        return partial(self._run_hook, node, hook, failed)

    def _run_hook(self, node: int, hook: int, failed: KarborError | None) -> None:
        """One hook, in a thread of its own."""
        operation = self._scope.operations[self._steps.refs[node]]
        if hook == BEGIN and overrides(operation, FINISH):
            # On record before it runs: whatever happens from here on, `on_prepare_finish` has to undo it.
            self._scope.log.put_hook(node, hook, "started", started_at=clock.now(), durable=True)
        self._scope.do(partial(getattr(operation, HOOKS[hook]), HookContext(self._scope, node, hook, failed)))

    def _was_recorded(self, step: int, node: int, hook: int) -> bool:
        """Whether an earlier run finished this step; its consequences are drawn again."""
        row = self._scope.log.hook(node, hook)
        if row is None or row["state"] not in ("done", "failed", "skipped"):
            return False
        if row["state"] == "failed":
            self._fail(step, node, row["reason"])
        elif row["state"] == "skipped":
            self._why_not[step] = row["reason"]
            self._reasons.setdefault(node, row["reason"])
        return True

    def _stop_reason(self) -> str:
        if not self._stopping and self._scope.log.cancelled.is_set():
            self._scope.log.check()
            self._stopping = "the operation was cancelled"
        return self._stopping

    def _ended(self, step: int, error: BaseException | None) -> None:
        node, hook = divmod(step, HOOKS_OF_A_NODE)
        started = self._started.pop(step, None)
        if isinstance(error, Hopeless):
            self._skip(step, node, hook, self._why_not[error.step])
        elif error is not None:
            self._record_failure(step, node, hook, error, started)
        elif started is not None:
            self._scope.log.put_hook(node, hook, "done", started_at=started)
        if hook == MAIN and (self._scope.log.hook(node, MAIN) or {}).get("state") == "done":
            self._why_not.pop(step, None)  # a failure below came too late for it: whoever refers to it has it
        if step in self._why_not:
            self._scope.undone.add(step)
            for later in self._steps.after[step]:
                if not self._is_needed_elsewhere(later):
                    self._why_not.setdefault(later, self._why_not[step])
        if hook == COMPLETE and step in self._why_not:
            self._reasons.setdefault(node, self._why_not[step])
        if hook == SETTLE:
            self._put_result(node, error)

    def _is_needed_elsewhere(self, step: int) -> bool:
        """Whether it begins what another resource above, which has not failed, needs too: a network, say."""
        node, hook = divmod(step, HOOKS_OF_A_NODE)
        above = (self._steps.node[parent] for parent in self._parents[self._steps.refs[node]])
        return hook == BEGIN and any(parent * HOOKS_OF_A_NODE + BEGIN not in self._why_not for parent in above)

    def _record_failure(self, step: int, node: int, hook: int, error: BaseException, started: str | None) -> None:
        reason = describe(error)
        self._scope.log.put_hook(node, hook, "failed", started_at=started, reason=reason)
        LOG.log(
            logging.INFO if isinstance(error, KarborError) else logging.ERROR,
            "%s of %s failed: %s", HOOKS[hook] if hook < SETTLE else "clean-up",
            self._scope.graph.resources[self._steps.refs[node]], reason,
            exc_info=None if isinstance(error, KarborError) else error,
        )  # fmt: skip
        if hook >= SETTLE:  # tags that would not come off are tried once more when the resource is settled
            return
        if isinstance(error, Cancelled):
            self._stop_reason()
        if isinstance(error, Deferred):
            self.deferred.update((node, *self._steps.ancestors(node, self._parents, set())))
        self._fail(step, node, reason)

    def _fail(self, step: int, node: int, reason: str) -> None:
        """Draw the consequences of a failed step: what it reaches, and the mains above it, are not to run."""
        resource = self._scope.graph.resources[self._steps.refs[node]]
        self._reasons.setdefault(node, reason)
        why_not = f"not done, because {resource} failed: {reason}"
        self._why_not[step] = why_not
        for above in self._steps.ancestors(node, self._parents, self._doomed):
            self._why_not.setdefault(above * HOOKS_OF_A_NODE + MAIN, why_not)
        if self._stop_on_failure and not self._stopping:
            self._stopping = f"stopped, because {resource} failed: {reason}"

    def _skip(self, step: int, node: int, hook: int, why_not: str) -> None:
        self._why_not[step] = why_not
        self._reasons.setdefault(node, why_not)
        self._scope.log.put_hook(node, hook, "skipped", reason=why_not)

    def _start_untagging(self, step: int, node: int) -> Job | None:
        if (self._scope.log.hook(node, MAIN) or {}).get("state") != "done":
            return None
        made = [
            entry for entry in self._scope.log.of_node(node) if entry.hook == MAIN and not effects.may_have_twin(entry)
        ]
        if not any(_is_tagged(entry) for entry in made):
            return None
        self._started[step] = clock.now()
        return partial(self._scope.do, partial(self._take_tags_off, made))

    def _start_settling(self, step: int, node: int) -> Job | None:
        self._why_not.pop(step, None)  # settling is what a failed resource needs most
        row = self._scope.log.hook(node, SETTLE)
        if row is not None and row["state"] == "done":
            return None
        made = self._scope.log.of_node(node)
        good = node not in self._reasons
        if not any(entry.verb in ("make", "act") for entry in made):
            return None
        self._started[step] = clock.now()
        return partial(self._scope.do, partial(self._settle, made, good=good))

    def _settle(self, entries: list[Entry], *, good: bool) -> None:
        """A resource's last hook has ended: nothing temporary stays, tags come off, a failed protect leaves nothing."""
        if good:
            self._take_tags_off(entries)
        self._scope.log.flush()  # what is gone could not be found again without its entry
        nothing_stays = not good and self._scope.verb == "protect"
        left = []
        for entry in reversed(entries):
            try:
                if entry.temporary or nothing_stays:
                    effects.undo(self._scope, entry)
            except Unauthorized:  # nothing more can be done with this credential
                raise
            except KarborError as error:  # what one leaves behind is no reason to leave the others too
                left.append(str(error))
        if left:
            raise KarborError("; ".join(left))

    def _take_tags_off(self, entries: list[Entry]) -> None:
        tagged = [entry for entry in entries if _is_tagged(entry)]
        if not tagged:
            return
        self._scope.log.flush()  # what has lost its tag could not be found again without its entry
        with ThreadPoolExecutor(UNTAGGED_AT_ONCE, thread_name_prefix="untag") as pool:
            for untagging in [pool.submit(self._untag, entry) for entry in reversed(tagged)]:
                untagging.result()

    def _untag(self, entry: Entry) -> None:
        effects.remove_twins(self._scope, entry)
        effects.settle(self._scope, entry)
        self._scope.log.put(replace(entry, state="settled"))

    def _put_result(self, node: int, error: BaseException | None) -> None:
        reason = self._reasons.get(node, "")
        status = "error" if reason else GOOD[self._scope.verb]
        if error is not None:
            reason = "; ".join(filter(None, (reason, f"left behind: {describe(error)}")))
        self._scope.log.put_result(node, status=status, reason=reason)


def _is_tagged(entry: Entry) -> bool:
    """Whether it made something that stays, is finished, and still has its tag."""
    return entry.verb == "make" and entry.state == "ready" and not entry.temporary


def describe(error: BaseException) -> str:
    """An error in one line; one that nobody foresaw with its class."""
    return str(error) if isinstance(error, KarborError) else f"{type(error).__name__}: {error}"


def said(what: object, reason: str) -> str:
    """A reason with what it is about, which is not named twice."""
    return reason if str(what) in reason else f"{what}: {reason}"
