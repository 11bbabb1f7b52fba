"""How long a wait pauses: longer as it ages and as answers take longer, and so that waits share their requests."""

from __future__ import annotations

import pytest

from karbor.engine.effects import pause_before

NOW = 12345.678


@pytest.mark.parametrize(
    ("age", "looked", "between"),
    [
        (0.0, 0.0, 1 / 128),
        (0.0, 0.003, 1 / 64),
        (1.0, 0.003, 1 / 32),
        (40.0, 0.003, 1.0),
        (80.0, 0.003, 2.0),
        (10_000.0, 0.003, 4.0),
        (0.1, 0.1, 0.5),
        (0.1, 30.0, 1.0),
        (80.0, 30.0, 2.0),
    ],
)
def test_looks_are_this_far_apart(age: float, looked: float, between: float) -> None:
    assert pause_before(0.0, age, looked) == between
    assert 0 < pause_before(NOW, age, looked) <= between


def test_waits_of_about_the_same_age_look_at_the_same_moment() -> None:
    moments = {now + pause_before(now, age, 0.02) for now, age in ((NOW, 33.0), (NOW + 0.1, 50.0), (NOW + 0.2, 63.0))}
    assert len({round(moment, 6) for moment in moments}) == 1
