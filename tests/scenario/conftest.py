"""A person at a terminal, whom several scenarios have, with a state folder and a cloud of his own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal import Terminal


@pytest.fixture
def person(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    for name in ("OS_CLOUD", "KARBOR_STATE"):
        monkeypatch.delenv(name, raising=False)
    with Terminal(tmp_path / "state", capsys.readouterr) as person:
        yield person
