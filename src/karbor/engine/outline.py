"""The outline of a restore: the same hooks, run with a context that writes down what they would do."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

from karbor.cloud.connection import Cloud
from karbor.cloud.kind import KINDS, Kind, Object
from karbor.engine.context import ResourceView, undo_spec
from karbor.engine.scope import Scope
from karbor.engine.steps import HOOKS_OF_A_NODE, SETTLE
from karbor.engine.walk import CIRCLE, Hopeless, NotYet
from karbor.model.errors import Gone, KarborError, Unauthorized
from karbor.model.resource import Ref
from karbor.plugins.base import HOOKS, Done, Operation

Outline = dict[str, Any]
"""`items`: what will be made, done, used and chosen, in order; `blockers`: why it cannot be; `needs`: quotas taken."""


@dataclass
class _Draft:
    """What the planning of all hooks has gathered so far."""

    cloud: Cloud
    """Of one moment: what many resources need is looked at once."""
    items: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    """By what each is about: as in a journal, a call that is made again is the same one."""
    became: dict[Ref, tuple[Ref, str]] = field(default_factory=dict)
    chosen: dict[tuple[int, str], Any] = field(default_factory=dict)


class Placeholder(str):
    """The id of something that is not made yet. It may stand in a body; turning it into text is reading it."""

    __slots__ = ()

    def _read(self) -> NoReturn:
        raise TypeError("planning read the id of something that is not made yet; that belongs into `do` or `done`")

    def __str__(self) -> str:
        self._read()

    def __format__(self, spec: str) -> str:
        self._read()


def overrides(operation: Operation, hook: int) -> bool:
    """Whether this operation has this hook at all; one that is not overridden is no step."""
    name = HOOKS[hook]
    return getattr(type(operation), name) is not getattr(Operation, name)


def plan(scope: Scope) -> Outline:
    """What `scope`'s operation is going to do. Reads the target cloud, changes nothing, raises no Blocked."""
    steps = scope.steps
    missing = [len(before) for before in steps.before]
    ready = deque(step for step, count in enumerate(missing) if not count)
    draft = _Draft(scope.cloud.remembering())
    blockers: list[dict[str, Any]] = []
    aside: dict[int, list[int]] = {}
    while ready:
        step = ready.popleft()
        node, hook = divmod(step, HOOKS_OF_A_NODE)
        operation = scope.operations[steps.refs[node]]
        if step not in scope.undone and hook < SETTLE and overrides(operation, hook):
            try:
                getattr(operation, HOOKS[hook])(PlanningContext(scope, node, hook, draft))
            except NotYet as error:
                aside.setdefault(error.step, []).append(step)
                continue
            except Hopeless:
                scope.undone.add(step)
            except KarborError as error:
                if scope.suspends and isinstance(error, Unauthorized):
                    raise
                blockers.append({"node": node, "reason": str(error)})
                scope.undone.add(step)
        scope.over.add(step)
        ready.extend(aside.pop(step, ()))
        for later in steps.after[step]:
            missing[later] -= 1
            if step in scope.undone:
                scope.undone.add(later)
            if not missing[later]:
                ready.append(later)
    blockers.extend({"node": step // HOOKS_OF_A_NODE, "reason": CIRCLE} for steps_ in aside.values() for step in steps_)
    items = list(draft.items.values())
    needs = _needs(items, draft.cloud)
    blockers.extend({"node": None, "reason": reason} for reason in _over_quota(needs, draft.cloud))
    return {"items": items, "blockers": blockers, "needs": needs}


def _needs(items: list[dict[str, Any]], cloud: Cloud) -> dict[str, int]:
    total: Counter[str] = Counter()
    for item in items:
        if item["verb"] == "make":
            total.update(KINDS[item["kind"]].needs(cloud, item["body"]))
    return dict(total)


def _over_quota(needs: Mapping[str, int], cloud: Cloud) -> list[str]:
    left = cloud.quota_left() if needs else {}
    found = []
    for name, count in needs.items():
        room = left.get(name)
        if room is not None and count > room:
            found.append(f"the project's quota of {name} has room for {room}, the restore needs {count}: ask for more")
    return found


class PlanningContext(ResourceView):
    """The `plugins.base.Context` of a hook that is only planned."""

    def __init__(self, scope: Scope, node: int, hook: int, draft: _Draft) -> None:
        super().__init__(scope, node, hook)
        self._draft = draft

    @property
    def cloud(self) -> Cloud:
        return self._draft.cloud

    def _item(self, verb: str, **facts: Any) -> None:
        name = (self._node, verb, facts.get("kind"), *facts.get("old", ()), facts.get("key"))
        self._draft.items[name] = {"node": self._node, "hook": self._hook, "verb": verb, **facts}

    def make(self, kind: Kind, old: Ref, body: Mapping[str, Any], *, key: str = "", temporary: bool = False) -> str:
        self._item(
            "make", kind=kind.name, old=[old.type, old.id], key=key, title=kind.title(body), temporary=temporary,
            body=dict(body),
        )  # fmt: skip
        id = Placeholder(f"<new {kind.name} {kind.title(body) or old.id}>")
        if kind.type == old.type:
            self._draft.became[old] = (self._ref, id)
        return id

    def act(self, key: str, do: Callable[[Cloud], object], done: Done, undo: partial[Any] | None = None) -> None:
        if undo is not None:
            undo_spec(undo)
        self._item("act", key=key)

    def use(self, kind: Kind, old: Ref, id: str) -> None:
        self._item("use", kind=kind.name, old=[old.type, old.id], id=id)
        self._draft.became[old] = (self._ref, id)

    def choose(self, key: str, look: Callable[[Cloud], Any]) -> Any:
        name = (self._node, key)
        if name not in self._draft.chosen:
            self._draft.chosen[name] = look(self.cloud)
            self._item("choose", key=key, value=self._draft.chosen[name])
        return self._draft.chosen[name]

    def new(self, old: Ref) -> str:
        self._check_complete(old)
        owner, id = self._draft.became.get(old, (None, ""))
        if owner is None or owner not in self._within_reach:
            return self._nothing_became(old)
        self._check_complete(owner)
        return id

    def note(self, attribute: str, outcome: str, why: str = "") -> None:
        self._item("note", key=attribute, outcome=outcome, why=why)

    def wait(self, kind: Kind, id: str, ready: Callable[[Object], bool]) -> Object:
        found = kind.get(self.cloud, id)
        if found is None:
            raise Gone(f"{self.resource}: {kind.name} {id}, which it needs, does not exist any more", 404)
        return found

    def chosen(self, ref: Ref, key: str) -> Any:
        self._check_complete(ref)
        return self._draft.chosen.get((self._scope.steps.node[ref], key))

    def remove(self, kind: Kind, id: str) -> None:
        """Nothing is removed by a plan."""

    def keep(self, **facts: Any) -> None:
        self._check_fact_names(facts)

    def not_kept(self, attribute: str, why: str) -> None:
        """Only a protect run says so."""

    def progress(self, done: int, total: int, unit: str = "bytes") -> None:
        """A plan has none."""
