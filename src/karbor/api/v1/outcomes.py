"""How far an operation is with each of its resources, in the maps that the v1 API shows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from karbor.api import shapes
from karbor.model.resource import children_first

NO_GRAPH = "[{}, []]"
SHAPES = {"progress": shapes.PERCENT, "resources_status": shapes.TEXTS, "resources_reason": shapes.TEXTS}
"""How what this module makes looks."""


def status_maps(resources: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, dict[str, str]]:
    """`resources_status` and `resources_reason` of resources, each with the key that it is shown under."""
    found = list(resources)
    return {
        "resources_status": {key: item["status"] for key, item in found},
        "resources_reason": {key: item["reason"] for key, item in found},
    }


def progress(graph: Mapping[str, Any] | None, results: Mapping[int, Mapping[str, Any]], *, ended: bool) -> int:
    """How much is done, in percent; each resource counts the same, and one under way by its own progress."""
    if ended:
        return 100
    count = len(graph["resources"]) if graph else 0
    if not count:
        return 0
    done = sum(_part(result) for result in results.values())
    return min(99, int(100 * done / count))


def _part(result: Mapping[str, Any]) -> float:
    if result["status"]:
        return 1.0
    return min(1.0, result["done"] / result["total"]) if result["total"] else 0.0


def read_graph(stored: str | None) -> tuple[Mapping[str, Any] | None, str]:
    """A graph of which the database has the text, and how clients read it."""
    data = None if stored is None else json.loads(stored)
    return data, graph_text(data)


def graph_text(data: Mapping[str, Any] | None) -> str:
    """A graph as clients read it: a JSON text of nodes by number, and of each parent with its children.

    Children are numbered and listed before their parents; a leaf has no line of its own.
    """
    if data is None:
        return NO_GRAPH
    resources, children = data["resources"], data["children"]  # by position, as the graph writes itself
    order = children_first(dict(enumerate(children)))
    number = {node: hex(index) for index, node in enumerate(order)}
    nodes = {}
    for node in order:
        resource = resources[node]
        nodes[number[node]] = [resource["type"], resource["id"], resource["name"], resource["extra_info"] or None]
    lines = [[number[node], [number[child] for child in children[node]]] for node in order if children[node]]
    return json.dumps([nodes, lines])
