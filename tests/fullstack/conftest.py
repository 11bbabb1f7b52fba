"""Tests on a real OpenStack, as a member of one project, which they use up and leave as it was.

`OS_CLOUD` or `KARBOR_TEST_CLOUD` names the cloud. So that nobody loses anything by mistake they refuse to start unless
`OSLAB_INSIDE=1` says that the cloud is one to test on, or `KARBOR_TEST_PROJECT` names its project.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from place import Place, inventory

from karbor.cloud.connection import Cloud


@pytest.fixture(scope="session")
def cloud() -> Cloud:
    name = os.environ.get("KARBOR_TEST_CLOUD") or os.environ.get("OS_CLOUD")
    if not name:
        pytest.fail("no cloud is named: set OS_CLOUD to a cloud of clouds.yaml, whose user is a member of one project")
    found = Cloud.connect(name)
    confirmed = os.environ.get("KARBOR_TEST_PROJECT") in (found.project_name, found.project_id)
    if os.environ.get("OSLAB_INSIDE") != "1" and not confirmed:
        pytest.fail(
            f"these tests build and delete in project {found.project_name!r} of cloud {name!r}; "
            f"if that is meant, set KARBOR_TEST_PROJECT={found.project_name}"
        )
    return found


@pytest.fixture(scope="module")
def place(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The project during one test module; at the end it holds what it held before."""
    place = Place(cloud, tmp_path_factory.mktemp("state"))
    yield place
    place.leave()
    assert inventory(cloud) == place.at_first
