"""docs/openstack-facts.md: each fact names the contract test that proves it, and each contract test is named."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from types import ModuleType

from doc_text import ROOT, read, rows, spans

from karbor.cloud import blockstorage, connection, images, networks, servers
from karbor.cloud.kind import Kind

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


def test_it_says_where_the_tag_of_each_kind_goes() -> None:
    told = [word for row in rows(TEXT, "kind") for word in row[0].lower().split(", ")]
    made = [each.name for module in (blockstorage, images, networks, servers) for each in kinds_of(module)]
    assert sorted(told) == sorted({"keypair": "key pair"}.get(name, name.replace("_", " ")) for name in made)


def kinds_of(module: ModuleType) -> list[Kind]:
    """The kinds that a module defines and Karbor makes."""
    found = [each for each in vars(module).values() if isinstance(each, Kind) and each.name not in LOOKED_UP]
    return [each for each in found if type(each).__module__ == module.__name__]


def test_it_says_what_was_measured() -> None:
    for measured in ("Zed", "nova 26.2", "cinder 21.3", "neutron 21.0", "glance 25.1", "keystone 22.0"):
        assert measured in TEXT
    assert f"{connection.COMPUTE} for Nova and {connection.VOLUME} for Cinder" in TEXT
