"""docs/openstack-facts.md: each fact names the contract test that proves it, and each contract test is named."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from doc_text import ROOT, read, spans

from karbor.cloud import connection
from karbor.cloud.kind import KINDS, Kind

TEXT = read("docs/openstack-facts.md")
TESTS = ROOT / "tests" / "contract" / "cloud"
LOOKED_UP = {"flavor", "volume_type"}
"""Kinds of which Karbor makes none."""


def proofs() -> Iterator[str]:
    """Every contract test, as file::name."""
    for path in sorted(TESTS.glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield f"{path.name}::{node.name}"


def tables() -> Iterator[tuple[str, list[str]]]:
    """The rows of all tables, each with the heading of its table's last column."""
    heading = None
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")] if line.startswith("|") else None
        if cells is None:
            heading = None
        elif heading is None:
            heading = cells[-1]
        elif not re.fullmatch(r"[-| ]+", line):
            yield heading, cells


def test_every_test_that_is_named_exists_and_every_one_is_named() -> None:
    named = {code for code in spans(TEXT) if "::" in code}
    there = set(proofs())
    assert len(there) > 1
    assert named - there == set()
    assert there - named == set()


def test_every_fact_has_its_proof() -> None:
    facts = [cells for heading, cells in tables() if heading == "proved by"]
    assert len(facts) >= len(set(proofs()))
    for cells in facts:
        assert re.fullmatch(r"(`test_cloud_\w+\.py::test_\w+`(, )?)+", cells[-1]), cells


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS.values() if kind.name not in LOOKED_UP], ids=lambda kind: kind.name
)
def test_it_says_where_the_tag_of_each_kind_goes(kind: Kind) -> None:
    table = TEXT.split("## Where a tag goes")[1].split("\n## ")[0]
    rows = [cells[0] for heading, cells in tables() if heading == "proved by" and f"| {cells[0]} |" in table]
    assert any(kind.name.replace("_", " ").replace("keypair", "key pair") in row.lower() for row in rows)


def test_it_says_what_was_measured() -> None:
    for measured in ("Zed", "nova 26.2", "cinder 21.3", "neutron 21.0", "glance 25.1", "keystone 22.0"):
        assert measured in TEXT
    assert f"{connection.COMPUTE} for Nova and {connection.VOLUME} for Cinder" in TEXT
