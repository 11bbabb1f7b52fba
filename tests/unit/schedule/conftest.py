"""A state folder for schedules, with a clock that the test sets."""

from __future__ import annotations

from pathlib import Path

import pytest
from yard import Yard


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path / "state")
