"""The command line on a sandbox: what each command says, its document, its exit status, what it leaves behind."""

from __future__ import annotations

import re
import shlex

import pytest
from terminal import Terminal

from karbor.cloud.blockstorage import BACKUP, VOLUME
from karbor.cloud.images import IMAGE

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")


def refuse_to_restore(person: Terminal, name: str) -> None:
    """Let the cloud refuse to restore the volume called `name`."""
    (backup,) = (backup["id"] for backup in person.all(BACKUP).values() if backup["name"] == name)
    path = f"/backups/{backup}/restore"
    person.fault(service="volume", method="POST", path=path, status=400, message=f"not {name}", times=None)


def test_protect_list_show(person: Terminal) -> None:
    volume = person.volume()
    ended = person.run("protect", "volume/data", "--name", "nightly", "-f", "json")
    assert ended.status == 0, ended.err
    saved = ended.document["checkpoint"]
    assert (saved["status"], saved["name"], saved["protection_plan"]["name"]) == ("available", "nightly", "nightly")
    assert [
        (item["type"], item["id"], item["name"], item["status"], item["reason"]) for item in saved["resources"]
    ] == [(VOLUME.type, volume, "data", "available", "")]
    assert TIME.fullmatch(saved["created_at"])
    assert TIME.fullmatch(saved["ended_at"])
    assert f"operation {saved['operation_id']}" in ended.err
    assert f"OS::Cinder::Volume 'data' ({volume}) available" in ended.err
    assert [found["id"] for found in person.json("checkpoint", "list")["checkpoints"]] == [saved["id"]]
    shown = person.json("checkpoint", "show", saved["id"])["checkpoint"]
    assert shown == {name: value for name, value in saved.items() if name != "operation_id"}
    table = person.run("checkpoint", "show", saved["id"])
    assert saved["id"] in table.out
    assert volume in table.out
    (log,) = person.json("operation", "list")["operation_logs"]
    assert (log["id"], log["operation_type"], log["status"]) == (saved["operation_id"], "protect", "available")
    assert TIME.fullmatch(log["started_at"])
    assert TIME.fullmatch(log["ended_at"])
    inside = person.json("operation", "show", log["id"])["operation_log"]
    assert inside["checkpoint"] == saved


def test_restore_says_what_it_made_and_the_command_that_undoes_it(person: Terminal) -> None:
    volume = person.volume()
    checkpoint = person.protected("volume/data")
    document = person.json("restore", checkpoint)["restore"]
    (resource,) = document["resources"]
    assert document["status"] == "success"
    assert (resource["type"], resource["name"], resource["original_id"]) == (VOLUME.type, "data", volume)
    assert (resource["status"], resource["reason"]) == ("available", "")
    assert set(person.all(VOLUME)) == {volume, resource["restored_id"]}
    assert [(made["kind"], made["id"]) for made in document["made"]] == [("volume", resource["restored_id"])]
    shown = person.run("operation", "show")
    assert resource["restored_id"] in shown.out
    assert document["undo"] in shown.out
    assert person.json("operation", "show", document["id"])["operation_log"]["restore"] == document

    undo = shlex.split(document["undo"])
    assert undo[:3] == ["karbor", "operation", "rollback"]
    taken_back = person.json(*undo[1:])["restore"]
    assert (taken_back["status"], taken_back["made"], taken_back["undo"]) == ("fail", [], None)
    assert list(person.all(VOLUME)) == [volume]
    again = person.run(*undo[1:])
    assert (again.status, again.out) == (1, "")
    assert "nothing is left to take back" in again.err


def test_dry_run_changes_nothing_and_tells_blockers(person: Terminal) -> None:
    person.volume()
    checkpoint = person.protected("volume/data")
    before = person.written()
    outline = person.json("restore", checkpoint, "--dry-run")["outline"]
    assert [item["title"] for item in outline["items"] if item["verb"] == "make"] == ["data"]
    assert (outline["blockers"], outline["needs"]) == ([], {"volumes": 1, "gigabytes": 1})
    assert "volume data" in person.run("restore", checkpoint, "--dry-run").out
    person.ask(f"/sandbox/quotas/{person.cloud().project_id}", "PUT", {"volume": {"volumes": 1}})
    blocked = person.json("restore", checkpoint, "--dry-run", status=1)["outline"]
    assert "quota of volumes" in blocked["blockers"][0]["reason"]
    assert person.written() == before
    failed = person.run("restore", checkpoint)
    assert failed.status == 1
    assert "quota of volumes" in failed.out
    assert person.inventory() == before[3]


def test_a_part_that_could_be_saved_is_status_3_and_can_be_restored_by_name(person: Terminal) -> None:
    good, bad = person.volume("good"), person.volume("bad")
    person.fault(service="volume", method="POST", path="/backups", body=bad, status=400, message="no room", times=None)
    document = person.json("protect", "volume/good", "volume/bad", status=3)["checkpoint"]
    assert document["status"] == "error"
    assert {item["name"]: item["status"] for item in document["resources"]} == {"good": "available", "bad": "error"}
    assert "no room" in next(item["reason"] for item in document["resources"] if item["name"] == "bad")
    before = person.written()
    whole = person.run("restore", document["id"])
    assert whole.status == 1
    assert "can be restored by naming them" in whole.err
    assert person.written() == before
    part = person.json("restore", document["id"], "--resource", "volume/good")["restore"]
    assert [item["original_id"] for item in part["resources"]] == [good]
    assert person.json("protect", "volume/bad", status=1)["checkpoint"]["status"] == "error"


@pytest.mark.parametrize("then", ["resume", "rollback"])
def test_a_kept_failure_is_status_3_until_somebody_goes_on_with_it(person: Terminal, then: str) -> None:
    old = {person.volume("one"), person.volume("two")}
    checkpoint = person.protected("volume/one", "volume/two")
    refuse_to_restore(person, "two")
    kept = person.json("restore", checkpoint, "--on-failure", "keep", status=3)["restore"]
    assert kept["status"] == "fail"
    assert "not two" in kept["error_info"]
    assert {item["name"]: item["status"] for item in kept["resources"]} == {"one": "available", "two": "error"}
    logs = person.run("operation", "list", "-f", "json")
    (log,) = [log for log in logs.document["operation_logs"] if log["id"] == kept["id"]]
    assert (log["status"], log["ended_at"]) == ("fail", None)
    assert f"operation resume {kept['id']}" in logs.err
    assert f"operation rollback {kept['id']}" in person.run("protectable", "list", "volume").err
    person.ask("/sandbox/faults", "DELETE")
    ended = person.json("operation", then)["restore"]
    assert ended["id"] == kept["id"]
    made = set(person.all(VOLUME)) - old
    if then == "resume":
        assert ended["status"] == "success"
        assert made == {item["restored_id"] for item in ended["resources"]}
    else:
        assert (ended["status"], made) == ("fail", set())
    assert "karbor: operation" not in person.run("operation", "list").err


def test_a_failed_restore_is_taken_back_and_status_1(person: Terminal) -> None:
    old = {person.volume("one"), person.volume("two")}
    checkpoint = person.protected("volume/one", "volume/two")
    refuse_to_restore(person, "two")
    document = person.json("restore", checkpoint, status=1)["restore"]
    assert (document["status"], document["made"], document["undo"]) == ("fail", [], None)
    assert "not two" in document["error_info"]
    assert set(person.all(VOLUME)) == old


def test_what_could_not_be_taken_back_is_named_and_can_be_asked_for_again(person: Terminal) -> None:
    old = person.volume()
    checkpoint = person.protected("volume/data")
    restored = person.json("restore", checkpoint)["restore"]
    person.fault(service="volume", method="DELETE", path="/volumes/.*", status=403, message="not you", times=None)
    ended = person.run("operation", "rollback", restored["id"], "-f", "json")
    assert ended.status == 1
    assert [left["id"] for left in ended.document["restore"]["left"]] == [restored["resources"][0]["restored_id"]]
    assert "is not taken back to the end" in ended.err
    person.ask("/sandbox/faults", "DELETE")
    assert person.run("operation", "rollback").status == 0
    assert list(person.all(VOLUME)) == [old]


def test_verify(person: Terminal) -> None:
    person.volume()
    checkpoint = person.protected("volume/data")
    proved = person.json("verify", checkpoint)["verification"]
    assert (proved["status"], proved["resources"][0]["status"]) == ("success", "available")
    assert proved["notes"][0]["attribute"] == "data"
    assert person.run("checkpoint", "verify", checkpoint).status == 0
    for backup in list(person.all(BACKUP)):
        person.remove(BACKUP, backup)
    doubted = person.json("verify", checkpoint, status=1)["verification"]
    assert (doubted["status"], doubted["resources"][0]["status"]) == ("fail", "error")


def test_one_that_increments_depend_on_goes_after_them(person: Terminal) -> None:
    person.volume()
    full = person.protected("volume/data", "--option", "volume.backup_mode=full")
    increment = person.protected("volume/data", "--option", "volume.backup_mode=incremental")
    assert [backup["is_incremental"] for backup in person.all(BACKUP).values()].count(True) == 1
    assert person.json("checkpoint", "delete", full)["checkpoint"]["status"] == "deleting"
    assert person.run("restore", full).status == 1
    assert person.json("checkpoint", "delete", increment)["checkpoint"]["status"] == "deleted"
    assert person.all(BACKUP) == {}
    assert person.json("checkpoint", "list")["checkpoints"] == []


def test_delete_several_and_prune(person: Terminal) -> None:
    person.volume()
    one, two, three, four = (person.protected("volume/data") for _ in range(4))
    gone = person.json("checkpoint", "delete", one, three)["checkpoints"]
    assert {found["id"]: found["status"] for found in gone} == {one: "deleted", three: "deleted"}
    assert person.json("checkpoint", "prune", "--keep", "2")["checkpoints"] == []
    assert [found["id"] for found in person.json("checkpoint", "prune", "--keep", "1")["checkpoints"]] == [two]
    assert [found["id"] for found in person.json("checkpoint", "list")["checkpoints"]] == [four]


def test_import_from_the_bank_after_the_database_is_lost(person: Terminal) -> None:
    person.volume()
    checkpoint = person.protected("volume/data")
    lost = person.protected("volume/data")
    before = person.json("checkpoint", "show", checkpoint)["checkpoint"]
    (manifest,) = (person.folder / "bank").rglob(f"{lost}/manifest.json")
    manifest.write_bytes(manifest.read_bytes()[:-40])
    person.database.dispose()
    for file in person.folder.glob("karbor.db*"):
        file.unlink()
    assert person.json("checkpoint", "list")["checkpoints"] == []
    imported = person.run("checkpoint", "import", "-f", "json")
    assert imported.status == 1
    assert lost in imported.err
    (found,) = imported.document["checkpoints"]
    assert found["id"] == checkpoint
    assert found["resources"] == before["resources"]
    assert person.run("restore", checkpoint).status == 0
    assert person.run("checkpoint", "delete", checkpoint).status == 0


def test_lists_show_the_clouds_project(person: Terminal) -> None:
    image = {"name": "disk", "disk_format": "raw", "container_format": "bare"}
    id = IMAGE.create(person.cloud(), image, "karbor-" + "0" * 32)
    person.cloud().upload(id, iter([b"bytes" * 1000]))
    mine = person.protected("image/disk")
    assert person.json("checkpoint", "list", "--cloud", "sandbox-b")["checkpoints"] == []
    assert person.json("operation", "list", "--cloud", "sandbox-b")["operation_logs"] == []
    assert [found["id"] for found in person.json("checkpoint", "list", "--all-projects")["checkpoints"]] == [mine]
    assert len(person.json("operation", "list", "--all-projects")["operation_logs"]) == 1
    assert person.run("checkpoint", "delete", mine, "--cloud", "sandbox-b").status == 1
    there = person.json("restore", mine, "--cloud", "sandbox-b")["restore"]
    restored = IMAGE.get(person.cloud("sandbox-b"), there["resources"][0]["restored_id"])
    assert restored is not None
    assert restored["owner"] == person.cloud("sandbox-b").project_id
    refused = person.run("operation", "rollback", there["id"])
    assert refused.status == 1
    assert "belongs to project" in refused.err
    assert person.run("operation", "rollback", there["id"], "--cloud", "sandbox-b").status == 0


def test_protectables(person: Terminal) -> None:
    volume = person.volume()
    assert "OS::Nova::Server" in person.json("protectable", "list")["protectable_type"]
    (instance,) = person.json("protectable", "list", "volume")["instances"]
    assert (instance["id"], instance["type"], instance["name"]) == (volume, VOLUME.type, "data")
    project = person.json("protectable", "show", "project")["instance"]
    assert project["id"] == person.cloud().project_id
    assert volume in [item["id"] for item in project["dependent_resources"]]
    assert volume in person.run("protectable", "show", "volume/data").out


def test_options_reach_the_plug_ins(person: Terminal) -> None:
    person.volume()
    checkpoint = person.protected("volume/data")
    assert person.run("restore", checkpoint, "--option", "volume.restore_name=again").status == 0
    assert sorted(volume["name"] for volume in person.all(VOLUME).values()) == ["again", "data"]


def test_options_for_one_resource_are_addressed_by_its_name(person: Terminal) -> None:
    for name in ("data", "logs"):
        person.volume(name)
    option = ("--option", "volume#data.description=mine")
    checkpoint = person.protected("volume/data", "volume/logs", *option)
    said = {backup["name"]: backup["description"] for backup in person.all(BACKUP).values()}
    assert said["data"] == "mine" != said["logs"]
    options = ("--option", "volume#data.restore_name=again", "--option", "server.restore_name=nobody")
    ended = person.run("restore", checkpoint, *options)
    assert ended.status == 0
    assert "options for OS::Nova::Server change nothing" in ended.err
    assert sorted(volume["name"] for volume in person.all(VOLUME).values()) == ["again", "data", "logs", "logs"]
    part = person.run("restore", checkpoint, "--resource", "volume/logs", *options[:2])
    assert part.status == 1
    assert "no part of this restore" in part.err


def test_ids_are_completed(person: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    person.volume()
    checkpoint = person.protected("volume/data")
    monkeypatch.setenv("_KARBOR_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", f"karbor --state {person.folder} restore {checkpoint[:3]}")
    monkeypatch.setenv("COMP_CWORD", "4")
    person.capture()
    with pytest.raises(SystemExit):
        person.run()
    assert checkpoint in person.capture()[0]


def test_everything_that_is_kept_is_private(person: Terminal) -> None:
    person.volume()
    person.protected("volume/data")
    assert {path.stat().st_mode & 0o077 for path in [person.folder, *person.folder.rglob("*")]} == {0}
