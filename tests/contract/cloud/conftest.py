"""The same tests on the sandbox and, where KARBOR_TEST_CLOUD names a cloud of clouds.yaml, on a real OpenStack.

KARBOR_TEST_OTHER_CLOUD may name a second project of the same OpenStack, in which nothing is made or changed.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator

import pytest
from ground import Ground, Place, inventory

from karbor.cloud.connection import Cloud
from karbor.sandbox import Sandbox

REAL = os.environ.get("KARBOR_TEST_CLOUD")
OTHER = os.environ.get("KARBOR_TEST_OTHER_CLOUD")
LIMITS = {"volume": {"gigabytes": 1000}, "compute": {"instances": 60}, "network": {"network": 50}}
"""Quotas of an ordinary project, so that some can be run into."""

LAST_DELETIONS = 30.0
"""Seconds that Cinder may take to remove its own temporary volumes."""


@pytest.fixture(scope="session", params=["sandbox", *([REAL] if REAL else [])])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A cloud, whose project has in the end what it had before."""
    if request.param != "sandbox":
        yield from left_as_it_was(Place(Cloud.connect(request.param), None, Cloud.connect(OTHER) if OTHER else None))
        return
    folder = tmp_path_factory.mktemp("state")
    with Sandbox(folder) as sandbox:
        asked = urllib.request.Request(
            f"{sandbox.url}/sandbox/quotas/sandbox", json.dumps(LIMITS).encode(), method="PUT"
        )
        urllib.request.urlopen(asked, timeout=20).close()
        clouds = [Cloud.connect(name, state=folder) for name in ("sandbox", "sandbox-b")]
        yield from left_as_it_was(Place(clouds[0], sandbox, clouds[1]))


def left_as_it_was(place: Place) -> Iterator[Place]:
    before = inventory(place.cloud)
    yield place
    left: dict[str, set[str]] = {}

    def same() -> bool:
        left.update({kind: ids ^ before[kind] for kind, ids in inventory(place.cloud).items()})
        return not any(left.values())

    try:
        Ground(place.cloud, place.sandbox).until(same, LAST_DELETIONS)
    except AssertionError:
        named = {kind: sorted(ids) for kind, ids in left.items() if ids}
        raise AssertionError(f"project {place.cloud.project_name} is not as it was: {named}") from None


def cleaned(place: Place) -> Iterator[Ground]:
    ground = Ground(place.cloud, place.sandbox)
    yield ground
    ground.clear()


@pytest.fixture
def ground(place: Place) -> Iterator[Ground]:
    """The cloud, for one test."""
    yield from cleaned(place)


@pytest.fixture(scope="module")
def shared(place: Place) -> Iterator[Ground]:
    """The cloud, for what the tests of one file have in common."""
    yield from cleaned(place)


@pytest.fixture
def other(place: Place) -> Cloud:
    """A second project, which only looks."""
    if place.other is None:
        pytest.skip("KARBOR_TEST_OTHER_CLOUD names no second project of this cloud")
    return place.other
