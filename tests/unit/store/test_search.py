"""Expressions on SQLite: what people look for is found, and none keeps anybody waiting, which Python's search would."""

from __future__ import annotations

import pytest

from karbor.store.search import compiled, fits

TEXTS = ["a" * 255, "a" * 254 + "b", "ab" * 127, "\\" * 255, "a b" * 85, "a" * 100_000, "a b" * 33_000]
WORST = [
    "a*a*c", ".*.*" + r"\B" * 120 + "c", r"\\*\\*" + r"\B" * 27 + "c", "a*a*" + "[ab]" * 60 + "c", "(a|aa)" * 40 + "c",
    "[ab]*a[ab]{900}c", "a{0,254}a{0,254}c", "((a|aa)(a|aa))" * 15 + "c",
]  # fmt: skip


@pytest.mark.timeout(60)  # most of these would take days
@pytest.mark.parametrize("expression", WORST)
def test_the_worst_expressions_end(expression: str) -> None:
    assert not any(fits(expression, text) for text in TEXTS)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("^nightly-.*-(web|db)-.*-prod$", "nightly-1-db-2-prod"),
        ("(alpha|beta|gamma|delta|epsilon|zeta|eta|theta)$", "x-theta"),
        (r"^\\*x$", "\\\\x"),
        ("(WEEKLY|DAILY)", "FREQ=WEEKLY;" * 20),
        ("b$", "a" * 254 + "b"),
        ("^größe .$", "größe Ü"),
    ],
)
def test_what_people_look_for_is_found(expression: str, text: str) -> None:
    assert fits(expression, text) is True
    assert fits(expression, "none of it") is False
    assert fits(expression, None) is None
    assert compiled(expression) is compiled(expression), "once is enough for a whole list"
