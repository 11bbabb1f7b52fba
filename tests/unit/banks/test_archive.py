"""A checkpoint is an attempt until its manifest stands, `deleting` until nothing is left, wherever a run is killed."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from recording_bank import Killed, RecordingBank

from karbor.banks.archive import Archive, CheckpointDeleting, NoSuchCheckpoint, segment_of
from karbor.banks.base import AlreadyThere, is_segment
from karbor.banks.fs import FileSystemBank
from karbor.banks.memory import MemoryBank
from karbor.banks.pieces import read_artifact, write_artifact
from karbor.banks.section import ReadOnlySection
from karbor.model.errors import BankCorrupt, BankError, FormatTooNew, Invalid
from karbor.model.manifest import Manifest, SavedCloud, SavedPlan, SavedResource
from karbor.model.resource import Ref, Resource, ResourceGraph

PROJECT = "0123456789abcdef0123456789abcdef"
CHECKPOINT = "6f1c1b8e-2d0c-4f5e-9a39-0f6d2a1f9d11"
BASE = f"{PROJECT}/checkpoints/{CHECKPOINT}"
SERVER = Ref("OS::Nova::Server", "11111111-2222-3333-4444-555555555555")
VOLUME = Ref("OS::Cinder::Volume", "99999999-2222-3333-4444-555555555555")
DISK = [b"boot", bytes(4), b"data", b"end"]


def graph() -> ResourceGraph:
    found = ResourceGraph()
    found.add(Resource(SERVER, "web"), named=True)
    found.add(Resource(VOLUME, "data", {"size": 1}))
    found.link(SERVER, [VOLUME])
    return found


def manifest(archive: Archive, outcome: str = "available", checkpoint: str = CHECKPOINT) -> Manifest:
    kept = {ref: archive.artifacts(PROJECT, checkpoint, ref) for ref in (SERVER, VOLUME)}
    saved = tuple(SavedResource(ref, ref.id, "available", artifacts=artifacts) for ref, artifacts in kept.items())
    plan, cloud = SavedPlan("plan", "nightly"), SavedCloud("http://keystone")
    return Manifest(checkpoint, PROJECT, "provider", outcome, "then", "now", plan, cloud, saved)


def protect(archive: Archive, outcome: str = "available", checkpoint: str = CHECKPOINT) -> None:
    """What an engine does, as far as the bank sees it; may be run again."""
    archive.begin(PROJECT, checkpoint, graph())
    section = archive.section(PROJECT, checkpoint, SERVER, writable=True)
    write_artifact(section, "disk", DISK, piece_size=4)
    archive.write_manifest(manifest(archive, outcome, checkpoint))


def delete(archive: Archive) -> None:
    archive.entomb(PROJECT, CHECKPOINT, "by hand")
    archive.remove(PROJECT, CHECKPOINT)


def states(archive: Archive) -> list[str]:
    return [entry.state for entry in archive.checkpoints()]


def test_what_was_protected_is_read_again(tmp_path: Path) -> None:
    protect(Archive(FileSystemBank(tmp_path)))
    archive = Archive(FileSystemBank(tmp_path))
    assert [*archive.checkpoints()] == [(PROJECT, CHECKPOINT, "available", "")]
    assert archive.read_manifest(PROJECT, CHECKPOINT) == manifest(archive)
    assert archive.read_graph(PROJECT, CHECKPOINT).to_json() == graph().to_json()
    section = archive.section(PROJECT, CHECKPOINT, SERVER, writable=False)
    assert b"".join(read_artifact(section, "disk")) == b"".join(DISK)
    report = archive.check(PROJECT, CHECKPOINT)
    assert (report.bytes_read, report.artifacts, report.problems) == (11, 1, ())


def test_where_things_lie_and_in_which_order_they_come_and_go() -> None:
    bank = RecordingBank()
    protect(Archive(bank))
    keys = [key for _, key in bank.changes]
    disk = f"{BASE}/data/OS::Nova::Server/{SERVER.id}/disk/"
    assert keys[:2] == ["bank.json", f"{BASE}/graph.json"]
    assert all(re.fullmatch(re.escape(disk) + "0000000[023]-[0-9a-f]{64}", key) for key in keys[2:-2])
    assert keys[-2:] == [f"{disk}index.json", f"{BASE}/manifest.json"]
    bank.forget()
    delete(Archive(bank))
    assert bank.changes[0] == ("put", f"{BASE}/tombstone.json")
    assert all(verb == "delete" and key.startswith(disk) for verb, key in bank.changes[1:-3])
    assert bank.names("delete")[-3:] == ["manifest.json", "graph.json", "tombstone.json"]
    assert list(bank.list()) == ["bank.json"]


def test_a_protect_run_killed_after_any_change_is_an_attempt_and_can_go_on() -> None:
    for changes in itertools.count():
        bank = RecordingBank(changes_left=changes)
        try:
            protect(Archive(bank))
        except Killed:
            bank.forget()
        else:
            break
        assert states(Archive(bank)) == (["attempt"] if changes > 1 else [])
        with pytest.raises(NoSuchCheckpoint):
            Archive(bank).read_manifest(PROJECT, CHECKPOINT)
        protect(Archive(bank))
        assert states(Archive(bank)) == ["available"]
        assert Archive(bank).check(PROJECT, CHECKPOINT).problems == ()
    assert changes == 7


def test_a_deletion_killed_after_any_change_is_never_a_checkpoint_again_and_can_go_on() -> None:
    for changes in itertools.count():
        bank = RecordingBank()
        protect(Archive(bank))
        bank.forget(changes_left=changes)
        try:
            delete(Archive(bank))
        except Killed:
            bank.forget()
        else:
            break
        assert states(Archive(bank)) == (["deleting"] if changes else ["available"])
        assert len(list(bank.list(f"{BASE}/data/"))) in (0, 4) or f"{BASE}/manifest.json" in list(bank.list())
        delete(Archive(bank))
        assert list(bank.list()) == ["bank.json"]
    assert changes == 8
    assert states(Archive(bank)) == []


def test_nothing_is_removed_without_a_tombstone() -> None:
    bank = RecordingBank()
    archive = Archive(bank)
    archive.remove(PROJECT, CHECKPOINT)
    protect(archive)
    bank.forget()
    with pytest.raises(BankError, match="not marked"):
        archive.remove(PROJECT, CHECKPOINT)
    assert bank.changes == []


def test_a_checkpoint_that_is_being_deleted_takes_nothing_new_and_can_still_be_read() -> None:
    archive = Archive(MemoryBank())
    protect(archive)
    archive.entomb(PROJECT, CHECKPOINT, "by hand")
    archive.entomb(PROJECT, CHECKPOINT, "again")
    assert archive.is_deleting(PROJECT, CHECKPOINT)
    tombstone = json.loads(archive.bank.get(f"{BASE}/tombstone.json"))
    assert tombstone["reason"] == "by hand"
    with pytest.raises(CheckpointDeleting):
        archive.begin(PROJECT, CHECKPOINT, graph())
    with pytest.raises(CheckpointDeleting):
        archive.write_manifest(manifest(archive))
    assert archive.read_manifest(PROJECT, CHECKPOINT).outcome == "available"


def test_a_checkpoint_is_written_once() -> None:
    archive = Archive(MemoryBank())
    protect(archive)
    protect(archive)
    with pytest.raises(AlreadyThere, match="manifest"):
        archive.write_manifest(replace(manifest(archive), outcome="error"))
    other = graph()
    other.add(Resource(Ref("OS::Glance::Image", "1")))
    with pytest.raises(AlreadyThere, match="graph"):
        archive.begin(PROJECT, CHECKPOINT, other)
    assert states(archive) == ["available"]


def test_a_section_reaches_only_its_own_resource() -> None:
    archive = Archive(MemoryBank())
    protect(archive)
    volume = archive.section(PROJECT, CHECKPOINT, VOLUME, writable=True)
    volume.put("note", b"mine")
    assert list(volume.list()) == ["note"]
    assert archive.artifacts(PROJECT, CHECKPOINT, VOLUME) == {}
    with pytest.raises(ReadOnlySection):
        archive.section(PROJECT, CHECKPOINT, VOLUME, writable=False).delete("note")


def test_checkpoints_of_one_project_and_of_all() -> None:
    archive = Archive(MemoryBank())
    for project, checkpoint, outcome in (("p1", "c1", "error"), ("p1", "c2", ""), ("p2", "c3", "available")):
        archive.begin(project, checkpoint, graph())
        if outcome:
            made = replace(manifest(archive, outcome), project_id=project, checkpoint_id=checkpoint)
            archive.write_manifest(made)
    archive.section("p1", "c4", SERVER, writable=True).put("half", b"of an attempt whose graph is gone")
    assert [entry[:3] for entry in archive.checkpoints("p1")] == [
        ("p1", "c1", "error"),
        ("p1", "c2", "attempt"),
        ("p1", "c4", "attempt"),
    ]
    assert [entry[:3] for entry in archive.checkpoints()][3:] == [("p2", "c3", "available")]
    assert [*archive.checkpoints("nobody")] == []
    for project in ("", "p1/checkpoints", "..", "p 1"):
        with pytest.raises(Invalid):
            next(archive.checkpoints(project), None)


MANIFESTS = [b"", b"{", b"[]", b"\xff\xff", b'{"format": 1}', b"[" * 100_000]


@pytest.mark.parametrize("raw", MANIFESTS, ids=["empty", "cut", "list", "binary", "bare", "nested"])
def test_a_damaged_manifest_or_graph_is_named_and_hides_no_other_checkpoint(raw: bytes) -> None:
    archive = Archive(MemoryBank())
    protect(archive)
    protect(archive, checkpoint="zz")
    archive.bank.put(f"{BASE}/graph.json", raw)
    with pytest.raises(BankCorrupt, match=f"{BASE}/graph.json"):
        archive.read_graph(PROJECT, CHECKPOINT)
    archive.bank.put(f"{BASE}/manifest.json", raw)
    with pytest.raises(BankCorrupt, match=f"{BASE}/manifest.json"):
        archive.read_manifest(PROJECT, CHECKPOINT)
    assert states(archive) == ["unreadable", "available"]
    assert f"{BASE}/manifest.json" in next(archive.checkpoints()).why
    assert len(archive.check(PROJECT, CHECKPOINT).problems) == 1


def test_a_manifest_of_another_checkpoint_is_not_taken_for_this_one() -> None:
    archive = Archive(MemoryBank())
    protect(archive)
    archive.bank.put(f"{BASE}/manifest.json", manifest(archive, checkpoint="another").to_bytes())
    with pytest.raises(BankCorrupt, match="belongs to checkpoint another"):
        archive.read_manifest(PROJECT, CHECKPOINT)


@pytest.mark.parametrize("name", ["manifest.json", "graph.json"])
def test_a_checkpoint_of_a_later_format_is_said_to_be_one(name: str) -> None:
    archive = Archive(MemoryBank())
    protect(archive)
    archive.bank.put(f"{BASE}/{name}", b'{"format": 2}')
    with pytest.raises(FormatTooNew, match="newer Karbor"):
        archive.check(PROJECT, CHECKPOINT)


def test_a_bank_gets_one_label_and_keeps_it(tmp_path: Path) -> None:
    archive = Archive(FileSystemBank(tmp_path))
    assert archive.bank_id() == ""
    assert states(archive) == []
    assert list(tmp_path.iterdir()) == []
    archive.begin(PROJECT, CHECKPOINT, graph())
    label = json.loads((tmp_path / "bank.json").read_text())
    assert label == {"format": 1, "bank_id": archive.bank_id(), "created_at": label["created_at"]}
    Archive(FileSystemBank(tmp_path)).begin(PROJECT, "other", graph())
    assert json.loads((tmp_path / "bank.json").read_text()) == label


def test_a_bank_of_a_later_format_is_refused_whole() -> None:
    bank = RecordingBank()
    protect(Archive(bank))
    bank.put("bank.json", b'{"format": 2, "bank_id": "x"}')
    bank.forget()
    archive = Archive(bank)
    for use in (
        lambda: protect(archive),
        lambda: delete(archive),
        lambda: archive.remove(PROJECT, CHECKPOINT),
        lambda: archive.read_manifest(PROJECT, CHECKPOINT),
        lambda: archive.read_graph(PROJECT, CHECKPOINT),
        lambda: archive.check(PROJECT, CHECKPOINT),
        lambda: archive.section(PROJECT, CHECKPOINT, SERVER, writable=False),
        lambda: next(archive.checkpoints()),
    ):
        with pytest.raises(FormatTooNew, match=r"bank.json .* format 2"):
            use()
    assert bank.changes == []


@pytest.mark.parametrize("label", [b"", b"{}", b'{"format": "1", "bank_id": "x"}', b'{"format": 1}'])
def test_a_damaged_label_is_named(label: bytes) -> None:
    bank = MemoryBank()
    bank.put("bank.json", label)
    with pytest.raises(BankCorrupt, match=r"bank\.json"):
        protect(Archive(bank))


def test_what_is_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    archive = Archive(FileSystemBank(tmp_path))
    with pytest.raises(BankError, match=r"not Karbor's.*thesis\.txt"):
        protect(archive)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_check_names_everything_that_is_wrong() -> None:
    archive = Archive(MemoryBank())
    protect(archive)
    found = manifest(archive)
    disk = f"{BASE}/data/OS::Nova::Server/{SERVER.id}/disk/"
    first, last = (key for key in archive.bank.list(disk + "0") if "/00000002" not in key)
    archive.bank.put(first, b"Boot")
    archive.bank.delete(last)
    stranger = SavedResource(Ref("OS::Glance::Image", "1"), "cirros", "available", artifacts={"image": "00"})
    archive.bank.delete(f"{BASE}/manifest.json")
    archive.write_manifest(replace(found, resources=(*found.resources, stranger)))
    report = archive.check(PROJECT, CHECKPOINT)
    assert [re.search(r"not in the graph|other bytes|is missing", problem).group() for problem in report.problems] == [
        "not in the graph",
        "other bytes",
        "is missing",
        "is missing",
    ]
    assert (report.bytes_read, report.artifacts) == (4, 2)


def test_check_finds_an_artifact_that_was_exchanged_whole() -> None:
    archive = Archive(MemoryBank())
    protect(archive)
    write_artifact(archive.section(PROJECT, CHECKPOINT, SERVER, writable=True), "disk", [b"forged"])
    (problem,) = archive.check(PROJECT, CHECKPOINT).problems
    assert "not the one that the manifest names" in problem


def test_check_counts_bytes_over_all_artifacts() -> None:
    archive = Archive(MemoryBank())
    archive.begin(PROJECT, CHECKPOINT, graph())
    for ref in (SERVER, VOLUME):
        write_artifact(archive.section(PROJECT, CHECKPOINT, ref, writable=True), "disk", DISK, piece_size=4)
    archive.write_manifest(manifest(archive))
    seen: list[int] = []
    report = archive.check(PROJECT, CHECKPOINT, progress=seen.append)
    assert seen == [4, 4, 8, 11, 15, 15, 19, 22]
    assert (report.bytes_read, report.artifacts, report.problems) == (22, 2, ())


def test_a_checkpoint_that_is_not_there_has_nothing_to_check() -> None:
    with pytest.raises(NoSuchCheckpoint, match=CHECKPOINT):
        Archive(MemoryBank()).check(PROJECT, CHECKPOINT)


@given(st.lists(st.text(min_size=1, max_size=120), min_size=2, unique=True))
@example([".", "..", "@2E", "@2E@2E", "@", "@@", "@40", "a b", "a@20b", "a/b", "../.."])
@example(["x" * 85, "x" * 86, "x" * 87, " " * 28, " " * 29, " " * 30])
def test_every_id_has_a_segment_of_its_own(texts: list[str]) -> None:
    segments = [segment_of(text) for text in texts]
    assert all(map(is_segment, segments))
    assert len(set(segments)) == len(texts)


@pytest.mark.parametrize(
    ("text", "segment"),
    [
        (SERVER.id, SERVER.id),
        ("OS::Nova::KeyPair", "OS::Nova::KeyPair"),
        ("my key", "my@20key"),
        ("me@home", "me@40home"),
        ("..", "@2E@2E"),
        ("\N{LATIN SMALL LETTER E WITH ACUTE}/x", "@C3@A9@2Fx"),
    ],
)
def test_ids_stay_readable(text: str, segment: str) -> None:
    assert segment_of(text) == segment
