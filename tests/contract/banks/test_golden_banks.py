"""The bank that format 1 left is read by every later version, and today's bytes are still the same.

These files never change; a new format gets a folder of its own.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from karbor.banks.archive import Archive
from karbor.banks.fs import FileSystemBank
from karbor.banks.pieces import read_artifact, read_index
from karbor.model.resource import Ref

GOLDEN = Path(__file__).parent / "golden" / "format-1"
PROJECT = "7f6e5d4c3b2a19080716253443526170"
FINISHED, ATTEMPT, DELETING = (f"{number:08d}-0000-4000-8000-000000000000" for number in (1, 2, 3))
SERVER = Ref("OS::Nova::Server", "0b1c2d3e-4f50-4162-8374-95a6b7c8d9e0")
KEY = Ref("OS::Nova::KeyPair", "ops key")
FIRST, THIRD = (line.ljust(64, b".") for line in (b"first piece of the disk\n", b"third piece of the disk\n"))
DISK = FIRST + bytes(64) + THIRD + b"the end\n"


def archive() -> Archive:
    return Archive(FileSystemBank(GOLDEN))


def test_its_checkpoints_are_found() -> None:
    assert archive().bank_id() == "c0ffee00-0000-4000-8000-000000000000"
    assert [entry[1:] for entry in archive().checkpoints()] == [
        (FINISHED, "error", ""),
        (ATTEMPT, "attempt", ""),
        (DELETING, "deleting", ""),
    ]


def test_its_facts_are_read() -> None:
    manifest = archive().read_manifest(PROJECT, FINISHED)
    server, volume, key = manifest.resources
    assert (manifest.outcome, manifest.plan.name, manifest.cloud.region) == ("error", "nightly", "RegionOne")
    assert (server.ref, server.saved["power"]) == (SERVER, "stopped")
    assert server.name == "w\N{LATIN SMALL LETTER E WITH ACUTE}b-1"
    assert (volume.status, volume.reason) == ("error", "the volume's backup failed: no space left")
    assert key.ref == KEY
    graph = archive().read_graph(PROJECT, FINISHED)
    assert graph.named == {SERVER}
    assert graph.children[SERVER] == (volume.ref, key.ref)


def test_its_bytes_are_read_and_proved() -> None:
    report = archive().check(PROJECT, FINISHED)
    assert (report.bytes_read, report.artifacts, report.problems) == (len(DISK) - 64 + 21, 2, ())
    section = archive().section(PROJECT, FINISHED, SERVER, writable=False)
    assert b"".join(read_artifact(section, "disk")) == DISK


def test_what_is_written_today_has_the_same_bytes() -> None:
    bank = FileSystemBank(GOLDEN)
    manifest = archive().read_manifest(PROJECT, FINISHED)
    assert manifest.to_bytes() == bank.get(f"{PROJECT}/checkpoints/{FINISHED}/manifest.json")
    for saved in manifest.resources:
        section = archive().section(PROJECT, FINISHED, saved.ref, writable=False)
        for name, expected in saved.artifacts.items():
            index = read_index(section, name, expected=expected)
            assert index.to_bytes() == section.get(f"{name}/index.json")
            assert index.digest == expected


def test_the_attempt_can_be_gone_on_with_and_the_deletion_ended(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "bank")
    copy = Archive(FileSystemBank(tmp_path / "bank"))
    copy.begin(PROJECT, ATTEMPT, copy.read_graph(PROJECT, ATTEMPT))
    copy.remove(PROJECT, DELETING)
    assert [entry.state for entry in copy.checkpoints()] == ["error", "attempt"]
