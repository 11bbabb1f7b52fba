"""Resources of a cloud and the graph of what needs what: the application as Karbor sees it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from karbor.model.errors import GraphCycle

_N = TypeVar("_N", bound=Hashable)


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """The identity of a resource: its type (in OpenStack's form, `OS::Nova::Server`) and its id in its cloud."""

    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


@dataclass(frozen=True, slots=True)
class Resource:
    """A cloud object: its identity, and facts about it (name, `extra_info` as the v1 API shows it)."""

    ref: Ref
    name: str = ""
    extra_info: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def type(self) -> str:
        return self.ref.type

    @property
    def id(self) -> str:
        return self.ref.id

    def __str__(self) -> str:
        return f"{self.ref.type} {self.name!r} ({self.ref.id})" if self.name else str(self.ref)


class ResourceGraph:
    """Resources with `children` (acyclic: needed before their parent) and `refers` (may be mutual: named by)."""

    def __init__(self) -> None:
        self.resources: dict[Ref, Resource] = {}
        self.children: dict[Ref, tuple[Ref, ...]] = {}
        self.refers: dict[Ref, tuple[Ref, ...]] = {}
        self.named: set[Ref] = set()
        """The resources that the plan named; all others came along."""

    def __len__(self) -> int:
        return len(self.resources)

    def __contains__(self, ref: Ref) -> bool:
        return ref in self.resources

    def add(self, resource: Resource, *, named: bool = False) -> None:
        self.resources[resource.ref] = resource
        self.children.setdefault(resource.ref, ())
        self.refers.setdefault(resource.ref, ())
        if named:
            self.named.add(resource.ref)

    def link(self, parent: Ref, children: Iterable[Ref]) -> None:
        """`parent` needs `children`; a child that stands there already is kept once."""
        self.children[parent] = tuple(dict.fromkeys((*self.children[parent], *children)))

    def refer(self, source: Ref, targets: Iterable[Ref]) -> None:
        """`source` names `targets`; a resource that names itself needs no edge."""
        found = (target for target in targets if target != source)
        self.refers[source] = tuple(dict.fromkeys((*self.refers[source], *found)))

    def parents(self) -> dict[Ref, tuple[Ref, ...]]:
        """For each resource the ones that need it."""
        above: dict[Ref, list[Ref]] = {ref: [] for ref in self.resources}
        for parent, children in self.children.items():
            for child in children:
                above[child].append(parent)
        return {ref: tuple(found) for ref, found in above.items()}

    def roots(self) -> list[Ref]:
        above = self.parents()
        return [ref for ref in self.resources if not above[ref]]

    def children_first(self) -> list[Ref]:
        """All resources, each once, children before parents. Raises GraphCycle naming the circle."""
        return children_first(self.children, lambda ref: str(self.resources[ref]))

    def below(self, ref: Ref) -> Iterator[Ref]:
        """`ref`'s descendants, nearest first, each once."""
        seen = {ref}
        queue = [ref]
        for current in queue:
            for child in self.children[current]:
                if child not in seen:
                    seen.add(child)
                    queue.append(child)
                    yield child

    def only(self, wanted: Iterable[Ref]) -> ResourceGraph:
        """The part of the graph that `wanted` needs: these, all below them, and what any of those refers to."""
        part = ResourceGraph()
        queue = list(dict.fromkeys(wanted))
        for ref in queue:
            if ref in part:
                continue
            part.add(self.resources[ref], named=ref in self.named)
            queue.extend((*self.children[ref], *self.refers[ref]))
        for ref in part.resources:
            part.children[ref] = self.children[ref]
            part.refers[ref] = self.refers[ref]
        return part

    def to_json(self) -> dict[str, Any]:
        """Nodes by position, edges as positions: small, and without nesting however deep the graph."""
        number = {ref: index for index, ref in enumerate(self.resources)}
        return {
            "resources": [
                {
                    "type": r.type,
                    "id": r.id,
                    "name": r.name,
                    "extra_info": dict(r.extra_info),
                    "named": r.ref in self.named,
                }
                for r in self.resources.values()
            ],
            "children": [[number[child] for child in self.children[ref]] for ref in self.resources],
            "refers": [[number[target] for target in self.refers[ref]] for ref in self.resources],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ResourceGraph:
        graph = cls()
        refs: list[Ref] = []
        for item in data["resources"]:
            ref = Ref(item["type"], item["id"])
            refs.append(ref)
            graph.add(Resource(ref, item["name"], item["extra_info"]), named=item["named"])
        for ref, children, targets in zip(refs, data["children"], data["refers"], strict=True):
            graph.children[ref] = tuple(refs[index] for index in children)
            graph.refers[ref] = tuple(refs[index] for index in targets)
        return graph


def children_first(children: Mapping[_N, Iterable[_N]], name: Callable[[_N], str] = str) -> list[_N]:
    """All keys of `children`, each once, children before parents.

    Raises GraphCycle naming the circle. Walks without recursion: an application may be as deep as it likes.
    """
    order: list[_N] = []
    done: set[_N] = set()
    for root in children:
        if root in done:
            continue
        path: dict[_N, Iterator[_N]] = {root: iter(children[root])}
        while path:
            node, rest = next(reversed(path.items()))
            child = next((c for c in rest if c not in done), None)
            if child is None:
                path.popitem()
                done.add(node)
                order.append(node)
            elif child in path:
                circle = [*list(path)[list(path).index(child) :], child]
                names = " -> ".join(map(name, circle))
                raise GraphCycle(f"these resources need one another in a circle: {names}")
            else:
                path[child] = iter(children[child])
    return order
