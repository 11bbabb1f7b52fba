"""What surroundings have in common: how they are found, when living ones are used, and how facts alone are verified."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any, ClassVar

from karbor.cloud.connection import Cloud
from karbor.cloud.inventory import Inventory
from karbor.cloud.kind import Kind, Object
from karbor.model.errors import Blocked, Gone, KarborError, NotFound
from karbor.model.resource import Ref, Resource
from karbor.plugins.base import Context, Operation
from karbor.plugins.project import PROJECT

Told = Mapping[str, Sequence[str]]
"""What each attribute of a thing holds, in words; an attribute that is not known is left out."""


class Surroundings:
    """Discovery of a kind of which all objects belong to the project and servers only use them."""

    kind: ClassVar[Kind]
    type: str
    parents: frozenset[str]

    def all(self, inventory: Inventory) -> Iterator[Resource]:
        for obj in inventory.all(self.kind).values():
            if self.can_be_made(obj):
                yield self._resource(obj)

    def one(self, inventory: Inventory, id: str) -> Resource:
        obj = inventory.one(self.kind, id)
        if not self.can_be_made(obj):
            raise NotFound(f"{self.kind.name} {id} is an administrator's to make, so it cannot be protected")
        return self._resource(obj)

    def children_of(self, inventory: Inventory, parent: Resource) -> Iterator[Resource]:
        if parent.type == PROJECT:
            yield from self.all(inventory)
            return
        own = inventory.all(self.kind)
        for id in dict.fromkeys(self.needed_by(inventory, parent)):
            if id in own and self.can_be_made(own[id]):
                yield self._resource(own[id])

    def references_of(self, inventory: Inventory, resource: Resource) -> Iterator[Ref]:
        return iter(())

    def needed_by(self, inventory: Inventory, parent: Resource) -> Iterable[str]:
        """The ids of what `parent`, which is not a project, needs; others' and doubles may be among them."""
        raise NotImplementedError

    def can_be_made(self, obj: Object) -> bool:
        """Whether a member could make such an object."""
        return True

    def _resource(self, obj: Object) -> Resource:
        return Resource(Ref(self.kind.type, str(obj["id"])), str(obj.get("name") or ""))


def stands(ctx: Context, kind: Kind, unfit: Callable[[Cloud, Object], str] = lambda _cloud, _living: "") -> bool:
    """Whether the resource itself, still living in the target project, is used instead of a new one.

    Never when the plan names it or all surroundings are to be new. `unfit(cloud, living)` may give a reason, the
    end of the sentence "it …", why the living one cannot serve any more. Decided once and noted, as are options,
    which change nothing about a living one.
    Raises Blocked when it does not stand and surroundings have to exist.
    """
    if ctx.named or ctx.surroundings == "new":
        return False
    why_not: str = ctx.choose("why it is not used", partial(_why_not, kind, ctx.resource.id, unfit))
    if why_not:
        check_may_be_made(ctx, why_not)
        ctx.note("identity", "mapped", f"made anew, because it {why_not}")
        return False
    ctx.note("identity", "same", "it is still there and is used as it is")
    for option in fields(ctx.options):
        if getattr(ctx.options, option.name) != option.default:
            ctx.note(option.name, "cannot", "the living one is used as it is; surroundings `new` make one")
    return True


def check_may_be_made(ctx: Context, why: str) -> None:
    """Raises Blocked where this resource came along and surroundings have to exist; `why` it would be made: "it …"."""
    if ctx.surroundings == "existing" and not ctx.named:
        raise Blocked(
            f"{ctx.resource} cannot be used in project {ctx.cloud.project_id}, because it {why}, and with surroundings "
            "`existing` none is made; restore with surroundings `auto` or `new`"
        )


def _why_not(kind: Kind, id: str, unfit: Callable[[Cloud, Object], str], cloud: Cloud) -> str:
    living = kind.get(cloud, id)
    if living is None:
        return "is gone"
    return unfit(cloud, living) if kind.owned(cloud, living) else "belongs to another project"


def note_changes(ctx: Context, was: Told, now: Callable[[Cloud], Told], again: Collection[str] = ()) -> None:
    """Say in what the living one that is used differs from the saved one: `was` tells of this, `now(cloud)` of that.

    Looked at once. `again`: what of it the restore brings back, or speaks of otherwise.
    """
    changes: dict[str, list[list[str]]] = ctx.choose("what has changed", partial(_changes, was, now))
    for attribute, (gone, come) in changes.items():
        lost = [each for each in gone if each not in again]
        if lost or come:
            ctx.note(attribute, "mapped", f"the living one is used as it is, {_difference(lost, come)}")


def _difference(lost: Sequence[str], come: Sequence[str]) -> str:
    if not come:
        return f"without {', '.join(lost)}"
    return f"with {', '.join(come)}" + (f" instead of {', '.join(lost)}" if lost else "")


def _changes(was: Told, now: Callable[[Cloud], Told], cloud: Cloud) -> dict[str, list[list[str]]]:
    """For each attribute that both know what is gone of it and what has come."""
    living = now(cloud)
    both = {name: (values, living[name]) for name, values in was.items() if name in living}
    changes = {name: [_beyond(old, new), _beyond(new, old)] for name, (old, new) in both.items()}
    return {name: change for name, change in changes.items() if any(change)}


def _beyond(some: Sequence[str], others: Sequence[str]) -> list[str]:
    return [each for each in some if each not in others]


def told(facts: Any, names: Iterable[str]) -> dict[str, list[str]]:
    """Those of the attributes of `facts`, an instance of a dataclass, in words; one that is None is not known."""
    known = ((name, getattr(facts, name)) for name in names)
    return {name: [str(value)] if value != "" else [] for name, value in known if value is not None}


def read(ctx: Context, kind: Kind, id: str = "") -> Object:
    """An object of the protected cloud, the resource itself unless another id is given. Raises Gone."""
    obj = ctx.cloud.read(kind, id or ctx.resource.id)
    if obj is None:
        raise Gone(f"protecting {ctx.resource}: {kind.name} {id or ctx.resource.id} has been deleted meanwhile", 404)
    return obj


def facts_in(facts: type[Any], obj: Object) -> dict[str, Any]:
    """The attributes of `obj` that the dataclass `facts` has fields for; null is the same as absent."""
    names = (field.name for field in fields(facts))
    return {name: obj[name] for name in names if obj.get(name) is not None}


class VerifyFacts(Operation):
    """Verify of a resource that lies wholly in the manifest: no bytes to read, so its facts are checked."""

    def missing(self, facts: Any) -> Iterator[str]:
        """What a restore would need and `facts` do not hold, a few words each."""
        raise NotImplementedError

    def on_main(self, ctx: Context) -> None:
        missing = list(self.missing(ctx.saved))
        if missing:
            raise KarborError(f"{ctx.resource}: the checkpoint does not hold {', '.join(missing)}; protect it again")
        ctx.note("facts", "same", "all that a restore needs is in the manifest; there are no bytes of it in the bank")


def lacking(what: str, item: Object, names: Iterable[str]) -> Iterator[str]:
    """For `VerifyFacts.missing`: the attributes that an item of a list has to have and has not."""
    for name in names:
        if item.get(name) in (None, ""):
            yield f"{name} of {what} {item.get('id', '')}".rstrip()
