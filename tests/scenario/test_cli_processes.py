"""The command line as processes: interrupted, killed, detached, several at once, and the sandbox that it serves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from terminal import Ended, Terminal, stop

from karbor.cli import results, running
from karbor.cli.choices import Choices
from karbor.cli.workplace import Workplace
from karbor.cloud.blockstorage import BACKUP, SNAPSHOT, VOLUME
from karbor.store import operations

STEP = 3.0
"""Seconds of an asynchronous step: time enough to interrupt what waits for it."""


def slow(person: Terminal, seconds: float) -> None:
    """Let each asynchronous step of the cloud take its time."""
    person.ask("/sandbox/delay", "PUT", {"seconds": seconds})


def the_only(person: Terminal) -> Any:
    (row,) = operations.rows(person.database)
    return row


def ended(person: Terminal) -> bool:
    return bool(the_only(person)["ended_at"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_once_cancels(person: Terminal, number: int) -> None:
    person.volume()
    slow(person, STEP)
    process = person.start("protect", "volume/data", "-f", "json")
    person.until(lambda: person.all(SNAPSHOT))
    process.send_signal(number)
    person.until(lambda: the_only(person)["cancel"])
    slow(person, 0.0)
    done = stop(process)
    assert done.status == 130, done.err
    assert "cancelling" in done.err
    assert done.document["checkpoint"]["status"] == "error"
    assert (the_only(person)["phase"], the_only(person)["error_info"]) == ("ended", "the operation was cancelled")
    person.until(lambda: not person.all(SNAPSHOT) and not person.all(BACKUP))


def test_ctrl_c_that_comes_too_late_is_told_so(person: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    person.volume()
    person.protected("volume/data")
    workplace, row = Workplace(Choices(state=person.folder)), the_only(person)

    def end_while_the_person_interrupts() -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return row

    outcome = running.run(workplace, row["id"], end_while_the_person_interrupts)
    assert results.conclude(workplace, outcome) == 130
    assert f"operation {row['id']} had come to its end before it could be cancelled" in capsys.readouterr().err


def test_ctrl_c_twice_leaves_it_to_be_resumed(person: Terminal) -> None:
    person.volume()
    slow(person, 60.0)
    process = person.start("protect", "volume/data")
    person.until(lambda: person.all(SNAPSHOT))
    process.send_signal(signal.SIGINT)
    person.until(lambda: the_only(person)["cancel"])
    done = stop(process, signal.SIGINT)
    assert (done.status, done.out) == (130, "")
    assert the_only(person)["ended_at"] is None
    slow(person, 0.0)
    again = person.run("operation", "list")
    assert f"operation {the_only(person)['id']} (protect) was interrupted" in again.err


@pytest.mark.parametrize("then", ["resume", "rollback"])
def test_a_killed_command_is_gone_on_with(person: Terminal, then: str) -> None:
    person.volume()
    checkpoint = person.protected("volume/data")
    old = set(person.all(VOLUME))
    slow(person, STEP)
    process = person.start("restore", checkpoint)
    person.until(lambda: len(person.all(VOLUME)) > 1)
    process.kill()
    stop(process)
    slow(person, 0.0)
    (log,) = [log for log in person.json("operation", "list")["operation_logs"] if log["operation_type"] == "restore"]
    assert (log["status"], log["ended_at"]) == ("in_progress", None)
    for words in (["checkpoint", "list"], ["checkpoint", "show", checkpoint], ["protectable", "list"]):
        assert f"karbor: operation {log['id']} (restore) was interrupted" in person.run(*words).err
    document = person.json("operation", then)["restore"]
    assert document["id"] == log["id"]
    made = set(person.all(VOLUME)) - old
    assert made == ({document["resources"][0]["restored_id"]} if then == "resume" else set())
    assert person.ask("/sandbox/counts")["creates"]["volume"] == 2


def test_no_wait_goes_on_by_itself(person: Terminal) -> None:
    person.volume()
    begun = person.run("protect", "volume/data", "--no-wait", "-f", "json")
    assert begun.status == 0
    id = begun.document["checkpoint"]["operation_id"]
    person.until(lambda: ended(person))
    assert person.json("operation", "show", id)["operation_log"]["checkpoint"]["status"] == "available"
    log = person.folder / "log" / f"{id}.log"
    assert str(log) in begun.err
    person.until(lambda: "available" in log.read_text())
    assert (log.stat().st_mode & 0o777, log.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_running_operation_is_shown_and_cancelled_from_elsewhere(person: Terminal) -> None:
    person.volume()
    slow(person, STEP)
    process = person.start("protect", "volume/data")
    id = the_only(person)["id"]
    running = person.run("operation", "show", "-f", "json")
    assert running.document["operation_log"]["ended_at"] is None
    (resource,) = running.document["operation_log"]["checkpoint"]["resources"]
    assert (resource["name"], resource["status"]) == ("data", "protecting")
    assert "was interrupted" not in running.err
    refused = person.run("operation", "resume", id)
    assert refused.status == 1
    assert f"is being run by process {process.pid}" in refused.err
    assert person.json("operation", "cancel")["operation_log"]["id"] == id
    slow(person, 0.0)
    assert stop(process).status == 1
    assert person.run("operation", "cancel", id).status == 1


def test_what_nobody_runs_cannot_be_cancelled(person: Terminal) -> None:
    person.volume()
    slow(person, STEP)
    process = person.start("protect", "volume/data")
    process.kill()
    stop(process)
    told = person.run("operation", "cancel", the_only(person)["id"])
    assert told.status == 1
    assert "operation rollback" in told.err


def test_two_commands_at_once(person: Terminal, tmp_path: Path) -> None:
    person.volume("one")
    person.volume("two")
    state = tmp_path / "fresh"
    state.mkdir(0o700)
    (state / "clouds.yaml").write_text((person.folder / "clouds.yaml").read_text())
    words = [sys.executable, "-m", "karbor", "--state", str(state), "--cloud", "sandbox", "--format", "json", "protect"]
    commands = [
        subprocess.Popen(
            [*words, thing],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for thing in ("volume/one", "volume/two")
    ]  # fmt: skip
    both = [stop(command) for command in commands]
    assert [done.status for done in both] == [0, 0], [done.err for done in both]
    listed = person.json("checkpoint", "list", "--state", str(state))["checkpoints"]
    assert {found["id"] for found in listed} == {done.document["checkpoint"]["id"] for done in both}


def test_the_sandbox_is_served_until_it_is_stopped(tmp_path: Path) -> None:
    state = tmp_path / "state"
    words = [sys.executable, "-m", "karbor", "sandbox", "--state", str(state)]
    served = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert served.stderr is not None
        line = served.stderr.readline()
        assert re.match(r"the sandbox listens on http://127\.0\.0\.1:\d+; its clouds are in .*clouds\.yaml$", line)
        clouds = (state / "clouds.yaml").read_text()
        assert all(f"  {name}:\n" in clouds for name in ("sandbox", "sandbox-b", "sandbox-admin", "sandbox-service"))
        assert state.stat().st_mode & 0o777 == 0o700
        listed = subprocess.run(
            [sys.executable, "-m", "karbor", "protectable", "list", "project", "-f", "json", "--state", str(state)],
            env={"OS_CLOUD": "sandbox-b", "PATH": ""}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert json.loads(listed.stdout)["instances"][0]["name"] == "sandbox-b"
        second = subprocess.run(words, capture_output=True, text=True)
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr.startswith("karbor: ")
    finally:
        assert stop(served, signal.SIGINT) == Ended(0, "", "")
