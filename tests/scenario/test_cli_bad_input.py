"""What the command line says to bad input, wrong credentials and unreadable banks: one clear line, and no change."""

from __future__ import annotations

import json
import re

import pytest
from terminal import Terminal

from karbor.cloud.blockstorage import BACKUP
from karbor.store import checkpoints, operations

BAD: dict[str, tuple[list[str], str]] = {
    "unknown kind": (["protect", "pod/x"], "'pod' is no kind of resource"),
    "unknown type": (["protect", "OS::No::Such/x"], "is no kind of resource"),
    "unknown server": (["protect", "server/nobody"], "has no OS::Nova::Server 'nobody'"),
    "one of two unknown": (["protect", "volume/data", "volume/nobody"], "'nobody'"),
    "name of two": (["protect", "volume/twin"], "give the id"),
    "unknown provider": (["protect", "volume/data", "--provider", "gold"], "there is no provider 'gold'"),
    "unknown option": (["protect", "volume/data", "--option", "volume.speed=9"], "there is no option 'speed'"),
    "bad value": (["protect", "volume/data", "--option", "volume.backup_mode=half"], "allowed are"),
    "option for another type": (["protect", "volume/data", "--option", "pod.x=1"], "'pod' is no kind"),
    "unknown checkpoint": (["restore", "c0ffee"], "there is no checkpoint c0ffee"),
    "show unknown": (["checkpoint", "show", "c0ffee"], "there is no checkpoint c0ffee"),
    "delete unknown": (["checkpoint", "delete", "CHECKPOINT", "c0ffee"], "there is no checkpoint c0ffee"),
    "verify unknown": (["verify", "c0ffee"], "there is no checkpoint c0ffee"),
    "not in it": (["restore", "CHECKPOINT", "--resource", "volume/nobody"], "holds no OS::Cinder::Volume 'nobody'"),
    "restore option": (["restore", "CHECKPOINT", "--option", "volume.speed=9"], "there is no option 'speed'"),
    "verify option": (["verify", "CHECKPOINT", "--option", "volume.speed=9"], "there is no option 'speed'"),
    "option for nobody": (["protect", "volume/data", "--option", "volume#nobody.description=x"], "holds no OS::Cinder"),
    "restore option for nobody": (["restore", "CHECKPOINT", "--option", "volume#nobody.restore_name=x"], "'nobody'"),
    "verify option for nobody": (["verify", "CHECKPOINT", "--option", "volume#nobody.x=1"], "'nobody'"),
    "unknown operation": (["operation", "show", "c0ffee"], "there is no operation c0ffee"),
    "resume unknown": (["operation", "resume", "c0ffee"], "there is no operation c0ffee"),
    "resume ended": (["operation", "resume", "OPERATION"], "has ended"),
    "roll back ended": (["operation", "rollback", "OPERATION"], "nothing is left to take back"),
    "cancel ended": (["operation", "cancel", "OPERATION"], "nothing is left to cancel"),
    "nothing to resume": (["operation", "resume"], "no operation waits"),
    "unknown cloud": (["protect", "volume/data", "--cloud", "nowhere"], "there is no cloud 'nowhere'"),
    "unknown instance": (["protectable", "show", "volume/nobody"], "'nobody'"),
    "import provider": (["checkpoint", "import", "--provider", "gold"], "there is no provider 'gold'"),
}


def test_bad_input_is_one_clear_line_and_changes_nothing(person: Terminal) -> None:
    person.volume()
    person.volume("twin")
    person.volume("twin")
    checkpoint = person.protected("volume/data")
    (operation,) = operations.rows(person.database)
    before = person.written()
    for name, (words, expected) in BAD.items():
        known = {"CHECKPOINT": checkpoint, "OPERATION": operation["id"]}
        ended = person.run(*(known.get(word, word) for word in words))
        assert (ended.status, ended.out) == (1, ""), name
        assert ended.err.startswith("karbor: "), name
        assert ended.err.count("\n") == 1, ended.err
        assert expected in ended.err, name
        assert person.written() == before, name


def test_wrong_credentials(person: Terminal) -> None:
    person.volume()
    checkpoint = person.protected("volume/data")
    before = person.written()
    clouds = person.folder / "clouds.yaml"
    clouds.write_text(re.sub(r"password: \w+", "password: wrong", clouds.read_text()))
    for words in (["protect", "volume/data"], ["restore", checkpoint], ["verify", checkpoint], ["checkpoint", "list"]):
        ended = person.run(*words)
        assert (ended.status, ended.out) == (1, "")
        assert re.fullmatch(r"karbor: logging in to cloud 'sandbox' was refused.*\n", ended.err)
    assert person.written() == before


def test_a_state_folder_of_a_newer_version(person: Terminal) -> None:
    person.volume()
    with person.database.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for words in (["protect", "volume/data"], ["operation", "list"], ["checkpoint", "show", "x"]):
        ended = person.run(*words)
        assert (ended.status, ended.out) == (1, "")
        assert "newer Karbor" in ended.err
        assert ended.err.count("\n") == 1
    assert person.all(BACKUP) == {}


@pytest.mark.parametrize("damage", ["label", "newer label", "manifest", "graph", "no folder"])
def test_a_bank_that_cannot_be_read(person: Terminal, damage: str) -> None:
    person.volume()
    checkpoint = person.protected("volume/data")
    bank = person.folder / "bank"
    commands = [["restore", checkpoint], ["restore", checkpoint, "--dry-run"]]
    if damage == "no folder":
        bank.rename(person.folder / "moved")
        bank.write_text("not a folder")
        commands += [["protect", "volume/data"], ["checkpoint", "delete", checkpoint], ["checkpoint", "import"]]
    elif damage in ("manifest", "graph"):
        (file,) = bank.rglob(f"{damage}.json")
        file.write_bytes(file.read_bytes()[:-30])
    else:
        label = bank / "bank.json"
        label.write_text('{"format": ' if damage == "label" else json.dumps({"format": 99, "bank_id": "x"}))
        commands += [["protect", "volume/data"], ["verify", checkpoint], ["checkpoint", "import"]]
    before = person.written()
    for words in commands:
        ended = person.run(*words)
        assert (ended.status, ended.out) == (1, ""), words
        assert ended.err.count("\n") == 1, ended.err
    assert person.written() == before
    assert checkpoints.get(person.database, checkpoint)["status"] == "available"
