"""Keeps the user's own environment out of these tests."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OS_CLOUD", "KARBOR_STATE"):
        monkeypatch.delenv(name, raising=False)
