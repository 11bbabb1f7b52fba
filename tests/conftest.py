"""Which database the tests use: SQLite, or with KARBOR_TEST_DATABASE=mariadb or =postgresql a server that lives as long
as they do."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from karbor.testing import databases


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
