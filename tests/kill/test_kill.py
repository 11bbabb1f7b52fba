"""Commands that are killed with SIGKILL at random moments, and what `operation resume` and `rollback` make of it.

KILLS (2 if not given) commands of each verb are killed and resumed, a fifth as many, at least one, rolled back. The
moments come from KILL_SEED, which is printed with the figures, so that a run can be repeated.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random

import pytest
from arena import arena
from rounds import ProtectRounds, RestoreRounds, Rounds, summary

from karbor import clock

KILLS = int(os.environ.get("KILLS", "2"))
SEED = int(os.environ.get("KILL_SEED", Random().randrange(1 << 32)))


@pytest.mark.timeout(300 + 60 * KILLS)
def test_killed_anywhere(tmp_path: Path) -> None:
    random, began = Random(SEED), clock.monotonic()
    done: list[Rounds] = []
    try:
        with arena(tmp_path) as place:
            for verb in (ProtectRounds, RestoreRounds):
                rounds = verb(place)
                done.append(rounds)
                for then in ["resume"] * KILLS + ["rollback"] * max(1, KILLS // 5):
                    rounds.kill(random, then)
    finally:
        print(f"\nkilled anywhere: {json.dumps(summary(SEED, clock.monotonic() - began, *done))}")
    assert [each.figures["resumed"] for each in done] == [KILLS, KILLS]
