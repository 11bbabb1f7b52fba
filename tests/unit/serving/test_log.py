"""What the service's programs write to the terminal when a request fails."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import falcon
import pytest
import sqlalchemy as sa
from falcon import testing

from karbor.api import faults, identity
from karbor.cli import logs
from karbor.store import schema
from karbor.store.database import open_state


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """The log of this process, put back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger(logs.OURS)
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


SECRET = "open sesame"


class Broken:
    """Fails in the database, with a secret among the values."""

    def __init__(self, folder: Path) -> None:
        self._database = open_state(folder)

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        with self._database.begin() as connection:
            connection.execute(sa.insert(schema.quotas).values(project_id=SECRET, resource="x"))


def test_a_failure_is_found_by_the_id_in_its_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app: falcon.App[falcon.Request, falcon.Response] = falcon.App()
    faults.install(app)
    app.add_route("/plans", Broken(tmp_path))
    logs.set_up(verbose=False, file=None, service=True)
    answer = testing.TestClient(app).simulate_get("/plans", extras={identity.REQUEST_ID: "req-1234"})
    said = capsys.readouterr().err
    assert answer.status_code == 500 and "req-1234" in answer.json["computeFault"]["message"]
    assert re.match(r"\d{4}-\d\d-\d\d \S+ ERROR karbor.api.faults: req-1234 GET /plans failed\n", said)
    assert "Traceback" in said and "NOT NULL constraint failed" in said
    assert SECRET not in said + answer.text


def test_a_person_at_a_terminal_reads_the_message_only(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(verbose=False, file=None)
    logging.getLogger("karbor.test").error("it failed", exc_info=ValueError("why"))
    assert capsys.readouterr().err == "karbor: it failed\n"
