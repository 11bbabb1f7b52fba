"""A sandbox whose folder also serves as a place for configuration files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from karbor.sandbox import Sandbox


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "state") as running:
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(running.clouds_file))
        yield running
