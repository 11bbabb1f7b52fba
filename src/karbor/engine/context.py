"""The context that a running hook gets: each call is journalled, so that the hook can be run again from its top."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property, partial
from typing import Any, NoReturn

from karbor import clock
from karbor.banks.section import Section
from karbor.cloud.connection import Cloud
from karbor.cloud.kind import KINDS, Kind, Object, Step
from karbor.engine import effects
from karbor.engine.scope import Scope
from karbor.engine.steps import COMPLETE, HOOKS_OF_A_NODE
from karbor.engine.walk import Hopeless, NotYet
from karbor.model.errors import Failed, KarborError
from karbor.model.resource import Ref, Resource
from karbor.plugins.base import Done
from karbor.store.journal import Entry

_PROGRESS_SECONDS = 0.5


class ResourceView:
    """What a hook may know of its resource, whether it is run or planned."""

    def __init__(self, scope: Scope, node: int, hook: int, failed: BaseException | None = None) -> None:
        self._scope = scope
        self._node = node
        self._hook = hook
        self._ref = scope.steps.refs[node]
        self._failed = failed

    @property
    def resource(self) -> Resource:
        return self._scope.graph.resources[self._ref]

    @property
    def children(self) -> Sequence[Resource]:
        return [self._scope.graph.resources[child] for child in self._scope.graph.children[self._ref]]

    @property
    def parents(self) -> Sequence[Resource]:
        return [self._scope.graph.resources[parent] for parent in self._scope.parents[self._ref]]

    @property
    def refers(self) -> Sequence[Ref]:
        return self._scope.graph.refers[self._ref]

    @property
    def named(self) -> bool:
        return self._ref in self._scope.graph.named

    @property
    def surroundings(self) -> str:
        return self._scope.surroundings

    @property
    def options(self) -> Any:
        return self._scope.options[self._ref]

    @property
    def saved(self) -> Any:
        facts = self._scope.operations[self._ref].Saved
        known = {field.name for field in fields(facts)}
        return facts(**{name: value for name, value in self._scope.saved.get(self._ref, {}).items() if name in known})

    @property
    def failed(self) -> BaseException | None:
        return self._failed

    @property
    def cloud(self) -> Cloud:
        return self._scope.cloud

    @property
    def section(self) -> Section:
        return self._scope.section_of(self._ref)

    @cached_property
    def _below(self) -> set[Ref]:
        return set(self._scope.graph.below(self._ref))

    def _check_complete(self, ref: Ref) -> bool:
        """Whether `ref` is a resource below that this hook, which no edge puts after it, comes after all the same.

        Raises NotYet until it has ended, Hopeless where it ended badly.
        """
        if self._hook == COMPLETE or ref not in self._below:
            return False
        step = self._scope.steps.node[ref] * HOOKS_OF_A_NODE + COMPLETE
        if step not in self._scope.over:
            raise NotYet(step)
        if step in self._scope.undone:
            raise Hopeless(step)
        return True

    @cached_property
    def _within_reach(self) -> set[Ref]:
        """Whose makes and uses this hook may ask for: what the edges say has ended before it."""
        graph = self._scope.graph
        reach = {self._ref, *self._below}
        for target in graph.refers[self._ref]:
            if target in graph:
                reach.update((target, *graph.below(target)))
        return reach

    def _check_fact_names(self, facts: Mapping[str, Any]) -> None:
        declared = self._scope.operations[self._ref].Saved
        unknown = facts.keys() - {field.name for field in fields(declared)}
        if unknown:
            raise TypeError(f"{declared.__name__} declares no fact {sorted(unknown)}")

    def _nothing_became(self, old: Ref) -> NoReturn:
        raise KarborError(f"{self.resource}: nothing was made or used for {old}, which it needs")


def undo_spec(undo: partial[Any]) -> dict[str, Any]:
    """An undo as data, because the process that carries it out may be another one."""
    kind = getattr(undo.func, "__self__", None)
    if not isinstance(kind, Kind) or undo.args:
        raise TypeError("an undo is a functools.partial of a Kind's method with keyword arguments only")
    return {"kind": kind.name, "method": undo.func.__name__, "arguments": undo.keywords}


class HookContext(ResourceView):
    """The `plugins.base.Context` of a hook that is run for real."""

    _told = 0.0
    _moved: Any = None

    @property
    def _cleaning(self) -> bool:
        return self._failed is not None

    def _entry(self, verb: str, kind: str = "", old: Ref | None = None, key: str = "") -> Entry:
        """The journal's entry of this call, or a new one that is not written yet (`state` is empty)."""
        old = old or Ref("", "")
        new = Entry(self._node, self._hook, verb, kind, old.type, old.id, key)
        return self._scope.log.entry(new.name) or new

    def keep(self, **facts: Any) -> None:
        self._check_fact_names(facts)
        for name, value in facts.items():
            self._scope.log.put(replace(self._entry("keep", key=name), value=value, state="done"))

    def not_kept(self, attribute: str, why: str) -> None:
        self._scope.log.put(replace(self._entry("not_kept", key=attribute), value=why, state="done"))

    def make(self, kind: Kind, old: Ref, body: Mapping[str, Any], *, key: str = "", temporary: bool = False) -> str:
        self._scope.check(cleaning=self._cleaning)
        entry = self._entry("make", kind.name, old, key)
        if entry.state in ("ready", "settled"):
            return str(entry.value["id"])
        effects.raise_recorded(entry)
        if entry.state == "removed":  # by a hook that is being run again from its top
            return str(entry.value["id"])
        if self._failed is not None:
            raise KarborError(f"{self.resource}: nothing is made any more after a failure") from self._failed
        if entry.state in ("", "again", "intent"):
            fresh = entry.state != "intent"
            if fresh:
                value = {"body": dict(body), "before": kind.before(self.cloud, body)}
                entry = self._scope.log.put(
                    replace(entry, temporary=temporary, state="intent", value=value, at=clock.now()), durable=True
                )
            else:  # what it names may have been made again since
                entry = replace(entry, value={**entry.value, "body": dict(body)})
            entry = effects.create(self._scope, kind, entry, fresh=fresh)
        id = str(entry.value["id"])
        try:
            made = effects.wait_ready(self._scope, kind, id)
        except Failed as error:
            self._scope.log.put(replace(entry, state="failed", value={**entry.value, "reason": error.reason}))
            raise
        value = {**entry.value, "addresses": kind.addresses(made)}
        self._scope.log.put(replace(entry, state="ready", value=value))
        return id

    def act(self, key: str, do: Callable[[Cloud], object], done: Done, undo: partial[Any] | None = None) -> None:
        self._scope.check(cleaning=self._cleaning)
        entry = self._entry("act", key=key)
        if entry.state == "done":
            return
        seen: bool | Step | None = None
        if entry.state in ("", "again"):
            seen = done(self.cloud)
            if seen is True:
                self._scope.log.put(replace(entry, state="done"))
                return
            value = {"undo": undo_spec(undo) if undo else None}
            entry = self._scope.log.put(replace(entry, state="intent", value=value), durable=True)
        largest = max((KINDS[made.kind].size(made.value["body"]) for made in self._made()), default=0)
        patience = self._scope.settings.wait + self._scope.settings.wait_per_gib * largest
        effects.act(
            self._scope,
            f"{self.resource}: {key}",
            do,
            done,
            patience,
            seen=seen,
            moved=lambda: self._moved,
            cleaning=self._cleaning,
        )
        self._scope.log.put(replace(entry, state="done"))

    def use(self, kind: Kind, old: Ref, id: str) -> None:
        entry = self._entry("use", kind.name, old)
        if entry.state == "":
            self._scope.log.put(replace(entry, state="done", value={"id": id}))

    def choose(self, key: str, look: Callable[[Cloud], Any]) -> Any:
        self._scope.check(cleaning=self._cleaning)
        entry = self._entry("choose", key=key)
        if entry.state == "":
            entry = self._scope.log.put(replace(entry, state="done", value={"choice": look(self.cloud)}))
        return entry.value["choice"]

    def chosen(self, ref: Ref, key: str) -> Any:
        self._come_after(ref)
        entry = self._scope.log.entry(Entry(self._scope.steps.node[ref], self._hook, "choose", key=key).name)
        return entry.value["choice"] if entry else None

    def remove(self, kind: Kind, id: str) -> None:
        self._scope.check(cleaning=self._cleaning)
        if self._made():
            self._scope.log.flush()  # what is gone could not be found again without its entry
        effects.remove(self._scope, kind, id, cleaning=self._cleaning)
        for entry in self._made():
            if entry.kind == kind.name and entry.value.get("id") == id:
                self._scope.log.put(replace(entry, state="removed"))

    def wait(self, kind: Kind, id: str, ready: Callable[[Object], bool]) -> Object:
        self._scope.check(cleaning=self._cleaning)
        return effects.wait(self._scope, kind, id, ready, cleaning=self._cleaning)

    def new(self, old: Ref) -> str:
        self._come_after(old)
        for entry in self._scope.log.became(old):
            owner = self._scope.steps.refs[entry.node]
            if owner in self._within_reach and KINDS[entry.kind].type == old.type and entry.state != "removed":
                self._come_after(owner)
                return str(entry.value["id"])
        return self._nothing_became(old)

    def _come_after(self, ref: Ref) -> None:
        """Wait for a resource below where no edge does, and keep that: a rollback goes the same way back."""
        if self._check_complete(ref):
            entry = self._entry("after", old=ref)
            if entry.state == "":
                self._scope.log.put(replace(entry, state="done", value={"node": self._scope.steps.node[ref]}))

    def note(self, attribute: str, outcome: str, why: str = "") -> None:
        value = {"outcome": outcome, "why": why}
        self._scope.log.put(replace(self._entry("note", key=attribute), state="done", value=value))

    def progress(self, done: int, total: int, unit: str = "bytes") -> None:
        self._scope.check(cleaning=self._cleaning)
        self._moved = done
        if done >= total or clock.monotonic() - self._told > _PROGRESS_SECONDS:
            self._told = clock.monotonic()
            self._scope.log.put_result(self._node, done=done, total=total, unit=unit)

    def _made(self) -> list[Entry]:
        return self._scope.log.of_node(self._node, "make")
