"""The steps of an operation and the edges between them: which hook has to end before which may start.

A step is a number: `node * 6 + hook`, hooks 0 to 3 as in `plugins.base.HOOKS`, 4 settles the resource. 5 takes the tags
off what `on_main` has made, beside `on_complete`, which so has less to wait for.
"""

from __future__ import annotations

from collections.abc import Iterator

from karbor.model.resource import Ref, ResourceGraph

BEGIN, FINISH, MAIN, COMPLETE, SETTLE, UNTAG = range(6)
HOOKS_OF_A_NODE = 6


class Steps:
    """All steps of a graph with their edges, in memory and time linear in resources and edges."""

    def __init__(self, graph: ResourceGraph) -> None:
        self.graph = graph
        self.refs: list[Ref] = list(graph.resources)
        self.node = {ref: index for index, ref in enumerate(self.refs)}
        graph.children_first()  # raises GraphCycle before anything starts
        self.after: list[list[int]] = [[] for _ in range(len(self.refs) * HOOKS_OF_A_NODE)]
        self.before: list[list[int]] = [[] for _ in self.after]
        for ref, number in self.node.items():
            first = number * HOOKS_OF_A_NODE
            for hook in range(SETTLE):
                self.edge(first + hook, first + hook + 1)
            self.edge(first + MAIN, first + UNTAG)
            self.edge(first + UNTAG, first + SETTLE)
            for child in graph.children[ref]:
                below = self.node[child] * HOOKS_OF_A_NODE
                self.edge(first + BEGIN, below + BEGIN)
                self.edge(below + FINISH, first + FINISH)
                self.edge(below + COMPLETE, first + COMPLETE)
            for target in graph.refers[ref]:
                if target in self.node:
                    self.edge(self.node[target] * HOOKS_OF_A_NODE + MAIN, first + COMPLETE)

    def edge(self, earlier: int, later: int) -> None:
        """`later` may start when `earlier` has ended."""
        self.after[earlier].append(later)
        self.before[later].append(earlier)

    def __len__(self) -> int:
        return len(self.after)

    def ancestors(self, node: int, parents: dict[Ref, tuple[Ref, ...]], seen: set[int]) -> Iterator[int]:
        """Nodes above `node` that are not in `seen` yet; adds them, so that many calls together stay linear."""
        queue = [node]
        for current in queue:
            for parent in parents[self.refs[current]]:
                number = self.node[parent]
                if number not in seen:
                    seen.add(number)
                    queue.append(number)
                    yield number
