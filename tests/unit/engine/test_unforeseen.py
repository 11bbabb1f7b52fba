"""An error that nobody foresaw, and that is no resource's own: tried a few times, told, and mended by a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

import pytest
from bureau import Bureau

from karbor.banks.archive import Archive
from karbor.banks.memory import MemoryBank
from karbor.engine.worker import TRIES, Engine
from karbor.model.errors import NotFound, Unclear
from karbor.store import operations


class Faulty(MemoryBank):
    """A bank with a programming error, until it is mended."""

    mended = False

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        if not self.mended:
            raise ZeroDivisionError("nobody thought of this")
        super().put(key, data, if_absent=if_absent)


def test_the_row_says_what_happened_and_the_operation_goes_on(bureau: Bureau) -> None:
    bank = Faulty()
    provider = replace(bureau.provider, archive=Archive(bank))
    engine = Engine(bureau.database, {provider.id: provider})
    id = bureau.protect(bureau.application())
    with pytest.raises(ZeroDivisionError):
        engine.conduct(id, lambda _row: bureau.log_in())
    row = operations.get(bureau.database, id)
    assert (row["phase"], row["owner"]) == ("forward", None)
    assert row["error_info"] == "ZeroDivisionError: nobody thought of this"
    bank.mended = True
    row = engine.conduct(id, lambda _row: bureau.log_in())
    assert (row["status"], row["error_info"]) == ("available", None)


def stumble(bureau: Bureau, id: str, times: int) -> None:
    """As many engines, on whichever hosts, meet the error one after the other."""
    for number in range(times):
        assert [row["id"] for row in operations.due(bureau.database)] == [id], number
        with pytest.raises(ZeroDivisionError):
            bureau.engine().conduct(id, lambda _row: bureau.log_in())


@pytest.mark.parametrize("then", ["resume", "roll_back"])
def test_it_is_tried_a_few_times_and_then_waits_for_a_person(bureau: Bureau, then: str) -> None:
    bank = Faulty()
    bureau.providers[bureau.provider.id] = replace(bureau.provider, archive=Archive(bank))
    id = bureau.protect(bureau.application())
    stumble(bureau, id, TRIES)
    assert operations.due(bureau.database) == []
    row = bureau.run(id)
    assert (row["status"], row["phase"], row["epoch"]) == ("error", "forward", TRIES)
    assert f"given up after {TRIES} tries" in row["error_info"] and "nobody thought of this" in row["error_info"]
    assert bureau.trusts() == []
    bank.mended = True
    getattr(bureau.intake, then)(id, bureau.credential(bureau.caller()))
    row = bureau.run(id)
    assert (row["phase"], row["status"]) == ("ended", {"resume": "available", "roll_back": "error"}[then])


def test_other_services_hear_of_it_once_when_it_waits_for_a_person(bureau: Bureau) -> None:
    told: list[tuple[str, Mapping[str, Any]]] = []
    providers = {bureau.provider.id: replace(bureau.provider, archive=Archive(Faulty()))}
    engine = Engine(bureau.database, providers, notify=lambda event, payload: told.append((event, payload)))
    id = bureau.protect(bureau.application())
    for number in range(TRIES):
        assert told == [], number
        with pytest.raises(ZeroDivisionError):
            engine.conduct(id, lambda _row: bureau.log_in())
    ((event, payload),) = told
    assert event == "karbor.protect.error"
    assert (payload["operation_id"], payload["status"], payload["phase"]) == (id, "error", "forward")


def test_whoever_resumes_it_gets_as_many_tries_again(bureau: Bureau) -> None:
    bank = Faulty()
    bureau.providers[bureau.provider.id] = replace(bureau.provider, archive=Archive(bank))
    id = bureau.protect(bureau.application())
    stumble(bureau, id, TRIES)
    bureau.intake.resume(id, bureau.credential(bureau.caller()))
    stumble(bureau, id, TRIES)
    assert operations.get(bureau.database, id)["status"] == "error"


def test_a_scheduled_one_that_never_began_has_failed(bureau: Bureau) -> None:
    """There is nobody to resume it, and nothing to take back."""
    id = bureau.protect(bureau.application(), scheduled_operation_id="a-schedule")

    def connect(_row: object) -> NoReturn:
        raise ZeroDivisionError("nobody thought of this")

    for _ in range(TRIES):
        with pytest.raises(ZeroDivisionError):
            bureau.engine().conduct(id, connect)
    row = operations.get(bureau.database, id)
    assert (row["status"], row["phase"]) == ("error", "ended")
    assert bureau.checkpoint(row)["status"] == "error"


def test_a_scheduled_deletion_that_never_began_has_left_the_checkpoint_whole(bureau: Bureau) -> None:
    checkpoint = bureau.protected(bureau.application())
    of_schedule = {"checkpoint_id": checkpoint, "scheduled_operation_id": "a-schedule"}
    id = bureau.intake.delete(**{**bureau.who(), "credential": "of another key"}, **of_schedule)
    row = bureau.run(id)
    assert (row["status"], row["phase"]) == ("fail", "ended")
    assert "cannot be opened" in row["error_info"]
    assert bureau.checkpoint(row)["status"] == "available"
    assert bureau.run(bureau.restore(checkpoint))["status"] == "success"


def test_one_whose_provider_is_gone_has_failed_after_as_many_tries(bureau: Bureau) -> None:
    """Nothing of it has been made, so nobody has to decide anything."""
    id = bureau.protect(bureau.application())
    engine = Engine(bureau.database, {})
    for number in range(TRIES):
        assert [row["id"] for row in operations.due(bureau.database)] == [id], number
        with pytest.raises(NotFound, match="not configured any more"):
            engine.conduct(id, lambda _row: bureau.log_in())
        assert "not configured any more" in operations.get(bureau.database, id)["error_info"]
    row = bureau.run(id)
    assert (row["status"], row["phase"]) == ("error", "ended")
    assert bureau.checkpoint(row)["reason"] == row["error_info"]
    assert bureau.trusts() == []


def test_one_that_has_begun_waits_for_its_provider_and_says_so(bureau: Bureau) -> None:
    providers = dict(bureau.providers)
    bureau.providers[bureau.provider.id] = replace(bureau.provider, archive=Archive(Faulty()))
    id = bureau.protect(bureau.application())
    stumble(bureau, id, 1)
    bureau.providers.clear()
    for _ in range(TRIES - 1):
        with pytest.raises(NotFound):
            bureau.engine().conduct(id, lambda _row: bureau.log_in())
    row = bureau.run(id)
    assert (row["status"], row["phase"]) == ("error", "forward")
    assert "not configured any more" in row["error_info"]
    bureau.providers.update(providers)
    bureau.intake.resume(id, bureau.credential(bureau.caller()))
    assert bureau.run(id)["status"] == "available"


def silent(_row: object) -> NoReturn:
    raise Unclear("nobody answers")


def test_one_that_is_cancelled_before_it_begins_needs_no_login_and_no_provider(bureau: Bureau) -> None:
    resources = bureau.application()
    checkpoint = bureau.protected(resources)
    for begin in (lambda: bureau.restore(checkpoint), lambda: bureau.protect(resources)):
        id = begin()
        with pytest.raises(Unclear):
            bureau.engine().conduct(id, silent)
        assert operations.get(bureau.database, id)["error_info"] == "nobody answers"
        bureau.providers, providers = {}, bureau.providers
        bureau.intake.cancel(id)
        row = operations.get(bureau.database, id)
        assert (row["phase"], row["error_info"]) == ("ended", "the operation was cancelled")
        bureau.providers = providers
        bureau.run(id)
    assert bureau.trusts() == []
    assert bureau.checkpoint(row)["status"] == "error"
    gone = bureau.run(bureau.intake.delete(**bureau.who(), checkpoint_id=checkpoint))
    assert gone["status"] == "deleted", gone["error_info"]


def test_one_that_is_cancelled_while_it_tries_to_log_in_is_over_then(bureau: Bureau) -> None:
    id = bureau.protect(bureau.application())

    def connect(row: Mapping[str, Any]) -> NoReturn:
        bureau.intake.cancel(id)
        assert operations.get(bureau.database, id)["phase"] == "forward", "an engine has it"
        silent(row)

    assert bureau.engine().conduct(id, connect)["status"] == "error"
    assert operations.get(bureau.database, id)["phase"] == "ended"


def test_one_that_has_made_something_is_not_over_before_that_is_taken_back(bureau: Bureau) -> None:
    providers = dict(bureau.providers)
    bureau.providers[bureau.provider.id] = replace(bureau.provider, archive=Archive(Faulty()))
    id = bureau.protect(bureau.application())
    stumble(bureau, id, 1)
    bureau.providers.update(providers)
    bureau.intake.cancel(id)
    with pytest.raises(Unclear):
        bureau.engine().conduct(id, silent)
    row = operations.get(bureau.database, id)
    assert (row["phase"], row["error_info"]) == ("forward", "nobody answers")
    row = bureau.run(id)
    assert (row["status"], row["phase"], row["error_info"]) == ("error", "ended", "the operation was cancelled")
