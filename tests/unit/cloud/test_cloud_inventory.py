"""The inventory: each kind is listed once, and strangers are kept out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from counting_kind import CountingKind, things

from karbor.cloud.inventory import Inventory
from karbor.model.errors import NotFound

CLOUD: Any = SimpleNamespace(name="near", project_id="ours")


def test_a_kind_is_listed_once_for_everybody() -> None:
    kind = CountingKind(things("a", 5))
    inventory = Inventory(CLOUD)
    with ThreadPoolExecutor(8) as pool:
        listings = list(pool.map(lambda _: inventory.all(kind), range(8)))
    assert all(list(listing) == ["a0", "a1", "a2", "a3", "a4"] for listing in listings)
    assert inventory.one(kind, "a3") == {"id": "a3"}
    assert inventory.any(kind, "a3") == {"id": "a3"}
    assert (kind.gets, kind.lists) == ([], 1)


def test_one_object_alone_needs_no_listing() -> None:
    kind = CountingKind(things("a", 5))
    assert Inventory(CLOUD).one(kind, "a3") == {"id": "a3"}
    assert (kind.gets, kind.lists) == (["a3"], 0)


@pytest.mark.parametrize("listed_before", [True, False])
def test_what_is_not_the_projects_is_not_found(listed_before: bool) -> None:
    shared = {"s": {"id": "s", "project_id": "theirs"}}
    kind = CountingKind(things("a", 1), shared)
    inventory = Inventory(CLOUD)
    if listed_before:
        inventory.all(kind)
    for id in ("s", "gone"):
        with pytest.raises(NotFound, match=rf"counted {id} is not in project ours of cloud 'near'"):
            inventory.one(kind, id)
    assert inventory.any(kind, "s") == shared["s"]
    assert inventory.any(kind, "gone") is None


def test_objects_are_grouped_by_an_attribute() -> None:
    ports: dict[str, Any] = {str(number): {"id": str(number), "device_id": number % 2} for number in range(4)}
    kind = CountingKind(ports)
    groups = Inventory(CLOUD).by(kind, "device_id")
    assert [port["id"] for port in groups[1]] == ["1", "3"]
    assert kind.lists == 1
