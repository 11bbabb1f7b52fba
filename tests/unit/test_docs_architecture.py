"""ARCHITECTURE.md is true: its layers are the linter's, its rooms and libraries exist, and it is short."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable

import pytest
from doc_text import ROOT, read, rows, spans

TEXT = read("ARCHITECTURE.md")
PROJECT = tomllib.loads(read("pyproject.toml"))
TWO_PAGES = 9000
"""Characters."""


def words(texts: Iterable[str]) -> list[str]:
    return [word for text in texts for word in re.findall(r"[a-z]+", text)]


def test_the_layers_are_those_that_the_linter_holds() -> None:
    (contract,) = (found for found in PROJECT["tool"]["importlinter"]["contracts"] if found["type"] == "layers")
    named = words(cell for row in rows(TEXT, "layer") for cell in re.findall(r"`(\w+)`", row[0]))
    assert set(named) == set(words(contract["layers"])) - {"demo"}


def test_everything_below_karbor_is_named() -> None:
    found = {path.stem for path in (ROOT / "src" / "karbor").iterdir() if path.is_dir() or path.suffix == ".py"}
    assert {name for name in found if not name.startswith("_")} - {"py"} <= set(spans(TEXT))


@pytest.mark.parametrize("title", ["One protect, room by room", "One restore, room by room"])
def test_a_way_leads_through_at_most_ten_rooms(title: str) -> None:
    way = TEXT.split(f"## {title}\n")[1].split("## ")[0]
    rooms = re.findall(r"^\d+\. (.*)", way, re.MULTILINE)
    assert 1 < len(rooms) <= 10
    for room in rooms:
        assert re.match(r"`\w+/[\w/]+\.py`", room)


def test_every_path_leads_somewhere() -> None:
    paths = [code for code in spans(TEXT) if re.fullmatch(r"[\w/]+/[\w/]+(\.\w+)?", code)]
    assert paths
    for path in paths:
        assert (ROOT / "src" / "karbor" / path).exists() or (ROOT / path).exists(), path


def test_every_library_has_its_reason() -> None:
    project = PROJECT["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["notifications"]]
    needed = {re.split(r"[><=\[ ]", line)[0] for line in lines}
    assert {name for row in rows(TEXT, "library") for name in spans(row[0])} == needed


def test_it_is_two_pages() -> None:
    assert len(TEXT) <= TWO_PAGES
