"""On a real cloud one protect and one restore, each killed with SIGKILL at five moments and resumed each time.

The moments come from KILL_SEED, which is printed, so that a run can be repeated; they are drawn from the length of
an undisturbed run of the same command, which also says what there has to be afterwards.
"""

from __future__ import annotations

import json
import os
from random import Random
from typing import Any

import pytest
from killing import Course, Killing
from place import Inventory, Place, inventory, more
from small_application import SmallApplication

from karbor.cloud.blockstorage import BACKUP

pytestmark = pytest.mark.timeout(1800)
KILLS = 5
SEED = int(os.environ.get("KILL_SEED", Random().randrange(1 << 32)))


def counts(grown: Inventory) -> dict[str, int]:
    return {kind: len(ids) for kind, ids in grown.items()}


def told(verb: str, course: Course, moments: Any) -> None:
    print(f"\n{json.dumps({'verb': verb, 'seed': SEED, 'seconds': round(course.seconds, 1), 'moments': moments})}")


def test_killed_five_times_a_protect_and_a_restore_do_everything_once(place: Place) -> None:
    cloud, random, killing = place.cloud, Random(SEED), Killing(place)
    app = SmallApplication(place)
    built = inventory(cloud)

    course = Course(place, place.protect(app.name)["operation_id"])
    undisturbed = counts(more(inventory(cloud), built))
    place.forget()
    assert inventory(cloud) == built
    moments = course.moments(random, KILLS)
    told("protect", course, moments)
    checkpoint = killing.run(moments, "protect", app.name)["checkpoint"]
    assert undisturbed == {BACKUP.name: len(app.sha256)}
    assert counts(more(inventory(cloud), built)) == undisturbed
    assert {item["status"] for item in checkpoint["resources"]} == {"available"}

    app.lose()
    lost = inventory(cloud)
    restore = place.restore(checkpoint)
    course = Course(place, restore["id"])
    undisturbed = counts(more(inventory(cloud), lost))
    place.karbor("operation", "rollback", restore["id"])
    assert inventory(cloud) == lost
    moments = course.moments(random, KILLS)
    told("restore", course, moments)
    restore = killing.run(moments, "restore", checkpoint["id"])["restore"]
    again = app.became(restore)
    assert counts(more(inventory(cloud), lost)) == undisturbed
    assert set(again.things) == set(app.app.things)
    assert app.differences(restore) == []
    assert app.hashes(restore) == app.sha256

    place.leave()
    assert inventory(cloud) == place.at_first
