"""The contract suite of protection plug-ins: what the engine promises has to hold for every one of them.

Subclass `PluginSuite` in a test module of your own, give it the plug-in's name and say in `build` what to protect; the
rest is done. It needs pytest and nothing else but the sandbox, which it starts itself:

    class TestShare(PluginSuite):
        plugin = "share"                               # as in the entry points `karbor.protections`

        def build(self, rig: Rig) -> Application:
            id = SHARE.post(rig.cloud(), {"name": "files", "size": 1})
            return Application([Ref(SHARE.type, id)], lose=lambda: rig.lose(SHARE, id))

Every verb is run twice, and a restore is held to its outline. An engine is killed by a BaseException that its journal
raises just before or just after a commit; its threads end, and a new engine goes on from the same database. This is
done in two ways. Once an operation is killed at each of its commits in one run: every engine dies as soon as it has
written one new thing, or just before it would write the next (`kills.killed_at_every_commit`). And many operations are
killed once each, at moments spread over their whole run, to be resumed by an engine that then goes on to the end; to be
taken back, at each moment that there is. Afterwards no more has been created than by an undisturbed run, what has been
brought about is the same as there (`portraits`), and when it is taken away again the cloud holds what it held before.

One changing call after the other is refused, or what it starts ends in an error; all of them are answered with silence
the first time; and operations are cancelled while they wait. They end well or say why not, and leave nothing behind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest

from karbor.cloud.connection import Cloud
from karbor.model.errors import Invalid
from karbor.providers import OS_INFRA
from karbor.store import checkpoints, operations
from karbor.testing import kills, portraits
from karbor.testing.rig import Rig
from karbor.testing.trial import Application, Row, Trial, Undisturbed
from karbor.testing.troubles import Failure, FirstTimes, Nth

__all__ = ["Application", "PluginSuite"]

RESUMED = 3
"""About how many operations are killed once and then resumed, besides those that are killed at every commit."""
TAKEN_BACK = 10
"""About how many operations are killed once and then taken back."""
ASKED_AGAIN = 5
"""How often a person asks for what cannot be done at first."""
MOST = 1000
"""No verb of a small application makes more calls; a test that gets there does not end by itself."""


class PluginSuite(ABC):
    """Tests of one plug-in on the sandbox."""

    plugin: ClassVar[str]
    """The plug-in's name among the entry points."""
    provider: ClassVar[str] = OS_INFRA
    """The provider whose plug-in it is."""

    @abstractmethod
    def build(self, rig: Rig) -> Application:
        """Make the smallest application that shows all that the plug-in does; called once for each new cloud."""

    @pytest.fixture(scope="class")
    @classmethod
    def _standing(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
        """The application as it was built; shared by the tests, each of which leaves it as it was."""
        with Rig(tmp_path_factory.mktemp("standing"), durable=False) as rig:
            yield Trial(rig, cls.provider, cls().build(rig))

    @pytest.fixture(scope="class")
    @classmethod
    def _lost(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
        """A checkpoint of the application, whose originals are gone; shared as `standing` is."""
        with Rig(tmp_path_factory.mktemp("lost"), durable=False) as rig:
            yield Trial(rig, cls.provider, cls().build(rig)).lose()

    @pytest.fixture
    def standing(self, _standing: Trial) -> Trial:
        """The same, as long as the tests before have left nothing behind."""
        _standing.check_as_before("an earlier test of this class failed")
        return _standing

    @pytest.fixture
    def lost(self, _lost: Trial) -> Trial:
        """The same, as long as the tests before have left nothing behind."""
        _lost.check_as_before("an earlier test of this class failed")
        return _lost

    def test_every_verb_twice(self, tmp_path: Path) -> None:
        with Rig(tmp_path, durable=False) as rig:
            trial = Trial(rig, self.provider, self.build(rig))
            built = trial.before
            saved = [trial.good(trial.run(trial.start_protect()))["checkpoint_id"] for _ in range(2)]
            if trial.offers("verify"):
                for checkpoint_id in (*saved, *saved):
                    trial.good(trial.run(trial.start("verify", checkpoint_id)))
            trial.application.lose()
            trial.before = trial.world()
            restored = [trial.good(trial.run(trial.start_restore(id))) for id in saved if trial.offers("restore")]
            for row in reversed(restored):
                trial.roll_back(row["id"])
            trial.check_as_before("both restores were taken back")
            for checkpoint_id in reversed(saved):
                trial.delete(checkpoint_id)
                with pytest.raises(Invalid):
                    trial.start("delete", checkpoint_id)
            assert not trial.world().keys() - built.keys(), "the deleted checkpoints left something behind"

    def test_a_verb_that_is_not_offered_is_refused(self, lost: Trial) -> None:
        starts: tuple[tuple[str, Callable[[], str]], ...] = (
            ("restore", lost.start_restore),
            ("verify", partial(lost.start, "verify", lost.checkpoint_id)),
        )
        for verb, start in starts:
            if not lost.offers(verb):
                with pytest.raises(Invalid, match=f"no plug-in that can {verb}"):
                    start()
        assert operations.rows(lost.rig.database, open_only=True) == []

    def test_a_restore_does_what_its_outline_says(self, lost: Trial) -> None:
        _needs(lost, "restore")
        _, outline = lost.rig.engine().outline(lost.rig.cloud(), lost.checkpoint_id)
        lost.check_as_before("an outline")
        assert outline["blockers"] == []
        row = lost.good(lost.run(lost.start_restore()))
        entries = operations.entries(lost.rig.database, row["id"])
        for verb in ("make", "act", "use", "choose"):
            planned = sorted(
                (item["node"], item.get("kind", ""), *item.get("old", ("", "")), item.get("key", ""))
                for item in outline["items"]
                if item["verb"] == verb
            )
            done = sorted(
                (entry["node"], entry["kind"], entry["old_type"], entry["old_id"], entry["key"])
                for entry in entries
                if entry["verb"] == verb
            )
            assert done == planned, verb
        lost.clear(row)

    def test_protect_killed_at_every_commit_and_resumed(self, standing: Trial) -> None:
        for row in standing.killed_and_resumed(standing.start_protect, standing.protecting, RESUMED):
            standing.clear(row)

    def test_restore_killed_at_every_commit_and_resumed(self, lost: Trial) -> None:
        _needs(lost, "restore")
        for row in lost.killed_and_resumed(lost.start_restore, lost.restoring, RESUMED):
            lost.clear(row)

    def test_protect_killed_and_taken_back(self, standing: Trial) -> None:
        for moment in standing.protecting.some_moments(TAKEN_BACK):
            id = standing.start_protect()
            kills.killed(standing.rig, standing.going_on(id), moment)
            row = operations.get(standing.rig.database, id)
            if row["phase"] != "ended":
                standing.roll_back(id)
                assert checkpoints.get(standing.rig.database, row["checkpoint_id"])["status"] == "error"
            standing.delete(row["checkpoint_id"])
            standing.check_as_before(f"a protection was killed at moment {moment} and taken back")

    def test_restore_killed_and_taken_back(self, lost: Trial) -> None:
        _needs(lost, "restore")
        for moment in lost.restoring.some_moments(TAKEN_BACK):
            id = lost.start_restore()
            kills.killed(lost.rig, lost.going_on(id), moment)
            lost.roll_back(id)
            lost.check_as_before(f"a restore was killed at moment {moment} and taken back")

    @pytest.mark.parametrize("point", ["before", "after"])
    def test_taking_a_restore_back_killed_at_every_commit(self, lost: Trial, point: kills.Point) -> None:
        _needs(lost, "restore")
        id = lost.good(lost.run(lost.start_restore()))["id"]
        assert kills.killed_at_every_commit(lost.rig, id, lost.going_back(id), point) > 0
        assert operations.get(lost.rig.database, id)["phase"] == "ended"
        lost.check_as_before(f"taking it back was killed {point} every commit")

    @pytest.mark.parametrize("point", ["before", "after"])
    def test_verify_killed_at_every_commit(self, lost: Trial, point: kills.Point) -> None:
        _needs(lost, "verify")
        id = lost.start("verify", lost.checkpoint_id)
        assert kills.killed_at_every_commit(lost.rig, id, lost.going_on(id), point) > 0
        lost.good(operations.get(lost.rig.database, id))

    @pytest.mark.parametrize("point", ["before", "after"])
    def test_delete_killed_at_every_commit(self, standing: Trial, point: kills.Point) -> None:
        checkpoint_id = standing.good(standing.run(standing.start_protect()))["checkpoint_id"]
        id = standing.start("delete", checkpoint_id)
        assert kills.killed_at_every_commit(standing.rig, id, standing.going_on(id), point) > 0
        standing.good(operations.get(standing.rig.database, id))
        standing.check_as_before(f"a deletion was killed {point} every commit")

    @pytest.mark.parametrize("failure", [Failure.REFUSED, Failure.LATE])
    def test_protect_of_which_one_call_after_the_other_fails(self, standing: Trial, failure: Failure) -> None:
        for when, cloud in _failing(standing, failure):
            row = standing.run(standing.start_protect(), cloud)
            assert row["status"] == "available" or row["error_info"]
            standing.delete(row["checkpoint_id"])
            standing.check_as_before(when)

    @pytest.mark.parametrize("failure", [Failure.REFUSED, Failure.LATE])
    def test_restore_of_which_one_call_after_the_other_fails(self, lost: Trial, failure: Failure) -> None:
        _needs(lost, "restore")
        whole = lost.restoring.portrait  # of a run that has to come before: it restores, too
        for when, cloud in _failing(lost, failure):
            row = lost.run(lost.start_restore(), cloud)
            assert (row["status"] == "success") != bool(row["error_info"])
            assert row["error_info"] or _is_told(lost, row, whole), f"{when}, and the restore does not say so"
            lost.roll_back(row["id"])
            lost.check_as_before(when)

    @pytest.mark.parametrize("failure", [Failure.UNAVAILABLE, Failure.SILENT])
    def test_protect_of_which_no_call_is_answered_at_first(self, standing: Trial, failure: Failure) -> None:
        standing.clear(_unanswered(standing, standing.start_protect, standing.protecting, failure))

    @pytest.mark.parametrize("failure", [Failure.UNAVAILABLE, Failure.SILENT])
    def test_restore_of_which_no_call_is_answered_at_first(self, lost: Trial, failure: Failure) -> None:
        _needs(lost, "restore")
        lost.clear(_unanswered(lost, lost.start_restore, lost.restoring, failure))

    @pytest.mark.parametrize("failure", [Failure.REFUSED, Failure.UNAVAILABLE, Failure.SILENT])
    def test_taking_a_restore_back_of_which_every_call_fails_at_first(self, lost: Trial, failure: Failure) -> None:
        _needs(lost, "restore")
        id = lost.good(lost.run(lost.start_restore()))["id"]
        cloud = lost.troubled.fail(failure, FirstTimes())
        for _ in range(ASKED_AGAIN):
            lost.going_back(id, cloud)(lost.rig.engine())
        assert operations.get(lost.rig.database, id)["phase"] == "ended"
        lost.check_as_before(failure.value)

    @pytest.mark.parametrize("failure", [Failure.REFUSED, Failure.UNAVAILABLE, Failure.SILENT])
    def test_delete_of_which_every_call_fails_at_first(self, standing: Trial, failure: Failure) -> None:
        checkpoint_id = standing.good(standing.run(standing.start_protect()))["checkpoint_id"]
        cloud = standing.troubled.fail(failure, FirstTimes())
        status = ""
        for _ in range(ASKED_AGAIN):
            if status != "deleted":
                status = standing.run(standing.start("delete", checkpoint_id), cloud)["status"]
        assert status == "deleted"
        standing.check_as_before(failure.value)

    def test_protect_cancelled_while_it_waits(self, standing: Trial) -> None:
        for row in _cancelled(standing, standing.start_protect):
            standing.delete(row["checkpoint_id"])
            standing.check_as_before("a protection was cancelled")

    def test_restore_cancelled_while_it_waits(self, lost: Trial) -> None:
        _needs(lost, "restore")
        for row in _cancelled(lost, lost.start_restore):
            if row["status"] == "success":  # it was over before it could be stopped
                lost.roll_back(row["id"])
            lost.check_as_before("a restore was cancelled")


def _needs(trial: Trial, verb: str) -> None:
    if not trial.offers(verb):
        pytest.skip(f"the plug-in does not offer to {verb}")


def _failing(trial: Trial, failure: Failure) -> Iterator[tuple[str, Cloud]]:
    """A cloud of which the first changing call fails, then the second, until none is left; and words for it."""
    for number in range(MOST):
        nth = Nth(number, longer=failure is Failure.LATE)
        yield f"changing call {number}: {failure.value}", trial.troubled.fail(failure, nth)
        if not nth.picked:
            return
    pytest.fail("the operation never came to its end")


def _unanswered(trial: Trial, start: Callable[[], str], model: Undisturbed, failure: Failure) -> Row:
    """An operation that has gone well although every changing call had to be asked for again, or looked after."""
    creates = trial.creates()
    row = trial.run(start(), trial.troubled.fail(failure, FirstTimes()))
    trial.check_like(model, row, creates, f"each changing call, the first time: {failure.value}")
    return row


def _cancelled(trial: Trial, start: Callable[[], str]) -> Iterator[Row]:
    """Operations that were cancelled in ever later waits, until one had no wait so late."""
    number = 0
    while True:
        id, nth = start(), Nth(number)
        row = trial.run(id, trial.troubled.cancel(nth, partial(operations.cancel, trial.rig.database, id)))
        assert row["phase"] == "ended", row["error_info"]
        assert row["status"] in ("available", "success") or "cancelled" in row["error_info"]
        yield row
        if not nth.picked:
            return
        number = 4 * number + 3


def _is_told(trial: Trial, row: Row, whole: portraits.Portrait) -> bool:
    """Whether a restore is like the `whole`, undisturbed one, or says where it is not."""
    differences = portraits.differences(trial.portrait(row), whole)
    left = any(result["reason"] for result in operations.results(trial.rig.database, row["id"]).values())
    return not differences or left or any(each.startswith(portraits.NOTE) for each in differences)
