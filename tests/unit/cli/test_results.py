"""Exit statuses, and which checkpoints are outdated."""

from __future__ import annotations

from typing import Any

import pytest

from karbor.cli.checkpoints import outdated
from karbor.cli.results import FAILED, GOOD, PARTIAL, status_of


@pytest.mark.parametrize(
    ("verb", "status", "phase", "resources", "made", "expected"),
    [
        ("protect", "available", "ended", ["available"], [], GOOD),
        ("protect", "error", "ended", ["available", "error"], [], PARTIAL),
        ("protect", "error", "ended", ["error"], [], FAILED),
        ("protect", "error", "rollback", ["available", "error"], [], FAILED),
        ("restore", "success", "ended", ["available"], ["x"], GOOD),
        ("restore", "fail", "ended", ["error"], [], FAILED),
        ("restore", "fail", "kept", ["available", "error"], ["x"], PARTIAL),
        ("restore", "fail", "kept", ["error"], [], FAILED),
        ("restore", "fail", "rollback", ["available"], ["x"], FAILED),
        ("restore", "success", "rollback", ["available"], ["x"], FAILED),
        ("verify", "success", "ended", ["available"], [], GOOD),
        ("verify", "fail", "ended", ["available", "error"], [], FAILED),
        ("delete", "deleted", "ended", [], [], GOOD),
        ("delete", "deleting", "ended", ["available"], [], GOOD),
        ("delete", "error-deleting", "ended", ["available"], [], FAILED),
    ],
)
def test_status_of(verb: str, status: str, phase: str, resources: list[str], made: list[str], expected: int) -> None:
    document: dict[str, Any] = {"resources": [{"status": one} for one in resources], "made": made}
    row = {"operation_type": verb, "status": status, "phase": phase}
    assert status_of(row, document) == expected


def row(id: str, status: str = "available", *resources: str, project: str = "p") -> dict[str, Any]:
    named = [{"type": "OS::Nova::Server", "id": resource, "name": ""} for resource in resources or ("web",)]
    return {"id": id, "status": status, "project_id": project, "provider_id": "o", "plan": {"resources": named}}


def ids(rows: list[Any]) -> list[str]:
    return [found["id"] for found in rows]


def test_the_newest_good_ones_stay() -> None:
    rows = [row("5"), row("4"), row("3"), row("2"), row("1")]
    assert ids(outdated(rows, 2)) == ["3", "2", "1"]
    assert outdated(rows, 5) == []


def test_each_set_of_resources_counts_for_itself() -> None:
    rows = [row("6", "available", "b", "a"), row("5"), row("4", "available", "a", "b"), row("3"), row("2", project="q")]
    assert ids(outdated(rows, 1)) == ["4", "3"]


def test_one_in_error_does_not_count_and_goes_when_older_than_the_last_that_stays() -> None:
    rows = [row("5", "error"), row("4"), row("3", "error"), row("2"), row("1", "error")]
    assert ids(outdated(rows, 2)) == ["1"]
    assert outdated(rows, 3) == []


def test_what_is_being_made_or_deleted_is_left_alone() -> None:
    rows = [row("4"), row("3", "protecting"), row("2", "deleting"), row("1", "error-deleting")]
    assert outdated(rows, 1) == []
