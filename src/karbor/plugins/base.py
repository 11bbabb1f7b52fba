"""The contract of a plug-in: all that its author must know. `docs/plugin-guide.md` tells it as a story."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

from karbor.banks.section import Section
from karbor.cloud.connection import Cloud
from karbor.cloud.inventory import Inventory
from karbor.cloud.kind import UNDER_WAY, Kind, Object, Step
from karbor.model.resource import Ref, Resource

__all__ = ["UNDER_WAY"]

Done = Callable[[Cloud], bool | Step]


class Context(Protocol):
    """What a hook may use. It changes the world only through these calls, so that it can be run again from its top.

    Every call may raise Cancelled, Fenced, or the error that the same call raised before a restart.
    """

    @property
    def resource(self) -> Resource:
        """The resource that this hook is about, as it was when it was protected."""

    @property
    def children(self) -> Sequence[Resource]:
        """What it needs, in the order of discovery."""

    @property
    def parents(self) -> Sequence[Resource]:
        """What of this operation needs it."""

    @property
    def refers(self) -> Sequence[Ref]:
        """What it names."""

    @property
    def named(self) -> bool:
        """Whether the plan named this resource itself (else it came along)."""

    @property
    def surroundings(self) -> str:
        """How a restore treats living surroundings: `auto`, `existing` or `new`."""

    @property
    def options(self) -> Any:
        """The options, an instance of the operation's `Options`."""

    @property
    def saved(self) -> Any:
        """The facts that this resource's protect run kept, an instance of the operation's `Saved`."""

    @property
    def failed(self) -> BaseException | None:
        """Why the rest stopped, where `on_prepare_finish` runs only to clean up; then `make` raises."""

    @property
    def cloud(self) -> Cloud:
        """The caller's cloud, for reading."""

    @property
    def section(self) -> Section:
        """This resource's drawer in the bank: written while protecting, read otherwise."""

    def keep(self, **facts: Any) -> None:
        """Keep facts (JSON) of this resource: journalled in order, in the manifest at the end."""

    def not_kept(self, attribute: str, why: str) -> None:
        """Say while protecting that an attribute of this resource cannot be captured."""

    def make(self, kind: Kind, old: Ref, body: Mapping[str, Any], *, key: str = "", temporary: bool = False) -> str:
        """Create once per (resource, kind, old, key) and wait until it is ready; the new id.

        A temporary one is removed when the resource's last hook has ended, however it ended.
        Raises Failed(id, reason) when it went into a failed state, on a re-run again: remove it, make
        with another key. Raises Refused when the cloud will not create it.
        """

    def act(self, key: str, do: Callable[[Cloud], object], done: Done, undo: partial[Any] | None = None) -> None:
        """Change something once: `done(cloud)` says True, False, UNDER_WAY or raises; `do(cloud)` runs only on False.

        Returns when `done` is True. `do` may raise NotNow (asked again later). `undo`, for rollback, is a partial
        of a Kind's method with keyword arguments in JSON only, because it must survive a restart; it is called as
        `undo(cloud)` and may be called again.
        """

    def use(self, kind: Kind, old: Ref, id: str) -> None:
        """A living or looked-up thing stands for `old`; no rollback, sweep or delete ever removes it."""

    def choose(self, key: str, look: Callable[[Cloud], Any]) -> Any:
        """A value (JSON) read from the target once and kept; `look` may raise Blocked."""

    def chosen(self, ref: Ref, key: str) -> Any:
        """What a child chose under this key, None where it did not; before `on_complete` it is waited for as by `new`.

        So a child can tell what will be there when it is complete, which an outline cannot see in the cloud.
        """

    def remove(self, kind: Kind, id: str) -> None:
        """Delete and wait until it is gone; gone already is good."""

    def wait(self, kind: Kind, id: str, ready: Callable[[Object], bool]) -> Object:
        """Wait until `ready(object)`; the object. Raises Gone when it disappears, DeadlineExceeded."""

    def new(self, old: Ref) -> str:
        """The id of what `old` became (made or used) in this resource, a descendant or what is referred to.

        Asked for a descendant before `on_complete`, the hook is put aside until that is complete, and then run again
        from its top; a part of one (a network's subnet) is asked for after the whole.
        """

    def note(self, attribute: str, outcome: str, why: str = "") -> None:
        """Say while restoring how faithful an attribute is: `same`, `mapped` or `cannot`, and why."""

    def progress(self, done: int, total: int, unit: str = "bytes") -> None:
        """Tell how far the hook is; any call restarts the deadline of its waits."""


@dataclass(frozen=True)
class NoOptions:
    """The operation takes no options."""


@dataclass(frozen=True)
class NoFacts:
    """The operation keeps no facts."""


class Operation:
    """One verb on one resource, as four hooks; keeps nothing on itself. A hook that is not overridden is no step."""

    Options: ClassVar[type[Any]] = NoOptions
    Saved: ClassVar[type[Any]] = NoFacts

    def on_prepare_begin(self, ctx: Context) -> None:
        """Before the children's prepare (quiesce)."""

    def on_prepare_finish(self, ctx: Context) -> None:
        """After the children's prepare (snapshots taken: thaw). Runs even after a failure: look at `ctx.failed`."""

    def on_main(self, ctx: Context) -> None:
        """In parallel with everybody's main (the long work)."""

    def on_complete(self, ctx: Context) -> None:
        """After the children's complete and after the main of what is referred to (put together)."""


HOOKS = ("on_prepare_begin", "on_prepare_finish", "on_main", "on_complete")
VERBS = ("protect", "restore", "verify", "copy", "delete")


class ProtectionPlugin:
    """A table: which operation does which verb for which types. A verb left out is not offered."""

    name: ClassVar[str]
    types: ClassVar[frozenset[str]]
    protect: ClassVar[type[Operation] | None] = None
    restore: ClassVar[type[Operation] | None] = None
    verify: ClassVar[type[Operation] | None] = None
    copy: ClassVar[type[Operation] | None] = None
    """An operation without hooks where all that is kept lies in the bank, from which the engine copies it; None where
    facts name something outside, such as a backup, that a second checkpoint cannot have as well."""
    delete: ClassVar[type[Operation] | None] = None


class Protectable(Protocol):
    """Discovery of one resource type."""

    type: str
    parents: frozenset[str]
    """The types whose resources can have children of this type."""

    def all(self, inventory: Inventory) -> Iterator[Resource]:
        """All resources of this type that can be protected, in the order of the service."""

    def one(self, inventory: Inventory, id: str) -> Resource:
        """The one with this id; raises NotFound."""

    def children_of(self, inventory: Inventory, parent: Resource) -> Iterator[Resource]:
        """The resources of this type that `parent` needs."""

    def references_of(self, inventory: Inventory, resource: Resource) -> Iterator[Ref]:
        """What a resource of this type names without needing it first."""
