"""What holds for all tests: the database they use (SQLite, or with KARBOR_TEST_DATABASE=mariadb or =postgresql a server
that lives as long as they do) and how Hypothesis looks for examples."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from karbor.testing import databases

# A slow machine is no counterexample; and the same code always gets the same verdict. New examples are looked for by
# hand: --hypothesis-profile=look
WHATEVER_IT_TAKES = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("verdict", WHATEVER_IT_TAKES, derandomize=True, database=None)
settings.register_profile("look", WHATEVER_IT_TAKES)
settings.load_profile("verdict")


@pytest.fixture(scope="session", autouse=True)
def database_server() -> Iterator[None]:
    """Starts the server where one is asked for; without its programs every test is skipped."""
    sort = databases.SORTS.get(asked := os.environ.get(databases.SERVER, ""))
    if sort is None:
        yield
        return
    if missing := sort.missing():
        pytest.skip(f"no {asked} here: this machine has no {' and no '.join(missing)}")
    with sort.start(durable=False) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv(databases.SERVER, address)
        yield
