"""What docs/format.md says is so: its program reads a bank, and every field of every document has its word there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from karbor.banks.archive import DATA, GRAPH, LABEL, MANIFEST, TOMBSTONE
from karbor.banks.base import MAX_KEY, MAX_SEGMENT
from karbor.banks.pieces import ALGORITHM, INDEX, LAYOUT, MAX_PIECE_SIZE

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "format.md").read_text()
BANK = ROOT / "tests" / "contract" / "banks" / "golden" / "format-1"
CHECKPOINT = BANK / "7f6e5d4c3b2a19080716253443526170" / "checkpoints" / "00000001-0000-4000-8000-000000000000"
SERVER = ("OS::Nova::Server", "0b1c2d3e-4f50-4162-8374-95a6b7c8d9e0")


@pytest.fixture
def program() -> dict[str, Any]:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "docs/format.md", "exec"), names)
    return names


def test_its_program_reads_an_artifact(program: dict[str, Any], tmp_path: Path) -> None:
    program["save"](CHECKPOINT, *SERVER, "disk", tmp_path / "disk.raw")
    data = (tmp_path / "disk.raw").read_bytes()
    assert len(data) == 200
    assert data[64:128] == bytes(64)
    assert data.endswith(b"the end\n")


def test_its_program_finds_damage(program: dict[str, Any], tmp_path: Path) -> None:
    piece = tmp_path / "piece"
    with pytest.raises(SystemExit, match="piece is damaged"):
        program["proved"](b"other bytes", "00" * 32, piece)


def fields(document: Any, free: tuple[str, ...] = ("saved", "parameters", "extra_info", "artifacts")) -> set[str]:
    """The names that the format gives to what is in `document`."""
    if isinstance(document, list):
        return set().union(*map(fields, document))
    if not isinstance(document, dict):
        return set()
    return set(document).union(*(fields(value) for name, value in document.items() if name not in free))


@pytest.mark.parametrize("path", sorted(BANK.rglob("*.json")), ids=lambda path: path.name)
def test_every_field_has_its_word(path: Path) -> None:
    for field in fields(json.loads(path.read_bytes())):
        assert f"`{field}`" in TEXT


@pytest.mark.parametrize("name", [DATA, GRAPH, INDEX, LABEL, MANIFEST, TOMBSTONE, LAYOUT, ALGORITHM])
def test_every_name_is_there(name: str) -> None:
    assert re.search(rf"[/`\s]{re.escape(name)}[`/\s]", TEXT)


def test_its_limits_are_the_ones_that_hold() -> None:
    assert f"at most {MAX_KEY} characters" in TEXT
    assert f"1 to {MAX_SEGMENT} of" in TEXT
    assert f"none is larger than {MAX_PIECE_SIZE // 2**20} MiB" in TEXT
