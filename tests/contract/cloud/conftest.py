"""The same tests on the sandbox and, where KARBOR_TEST_CLOUD names a cloud of clouds.yaml, on a real OpenStack."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator

import pytest
from ground import Ground

from karbor.cloud.connection import Cloud
from karbor.sandbox import Sandbox

Place = tuple[Cloud, Sandbox | None]
REAL = os.environ.get("KARBOR_TEST_CLOUD")


@pytest.fixture(scope="session", params=["sandbox", *([REAL] if REAL else [])])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A cloud, and the sandbox where it is one."""
    if request.param != "sandbox":
        yield Cloud.connect(request.param), None
        return
    folder = tmp_path_factory.mktemp("state")
    with Sandbox(folder) as sandbox:
        limit = json.dumps({"volume": {"gigabytes": 1000}}).encode()
        asked = urllib.request.Request(f"{sandbox.url}/sandbox/quotas/sandbox", limit, method="PUT")
        urllib.request.urlopen(asked, timeout=20).close()
        yield Cloud.connect("sandbox", state=folder), sandbox


@pytest.fixture
def ground(place: Place) -> Iterator[Ground]:
    ground = Ground(*place)
    yield ground
    ground.clear()
