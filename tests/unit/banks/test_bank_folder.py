"""What is particular to a bank in a folder: modes, names, leftovers, and what the operating system refuses."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from karbor.banks.fs import FileSystemBank
from karbor.model.errors import BankError, BankFull, BankUnreadable, NoSuchObject

FILL = """
import sys
from karbor.banks.fs import FileSystemBank
from karbor.model.errors import BankFull
bank = FileSystemBank(sys.argv[1])
bank.put("folder/small", b"fits")
try:
    bank.put("folder/large", bytes(3_000_000))
except BankFull as error:
    print(error)
print(list(bank.list()), bank.get("folder/small"), len(list((bank.root / "+incoming").iterdir())))
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_can_read_what_is_kept(tmp_path: Path) -> None:
    bank = FileSystemBank(tmp_path / "new" / "bank")
    bank.put("OS::Nova::Server/1/object", b"secret")
    made = [tmp_path / "new", *(tmp_path / "new").rglob("*")]
    assert {mode(path) for path in made if path.is_dir()} == {0o700}
    assert {mode(path) for path in made if path.is_file()} == {0o600}


def test_names_on_disk_have_no_colon(tmp_path: Path) -> None:
    bank = FileSystemBank(tmp_path)
    bank.put("OS::Nova::Server/1/object", b"data")
    assert (tmp_path / "OS%3A%3ANova%3A%3AServer" / "1" / "object").read_bytes() == b"data"


def test_a_missing_folder_is_an_empty_bank_and_reading_does_not_make_it(tmp_path: Path) -> None:
    bank = FileSystemBank(tmp_path / "bank")
    assert list(bank.list()) == []
    assert list(bank.folders()) == []
    with pytest.raises(NoSuchObject):
        bank.get("object")
    bank.delete("object")
    assert bank.free_space() > 0
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_bank(tmp_path: Path) -> None:
    (tmp_path / "bank").write_text("a file")
    with pytest.raises(BankUnreadable, match="Not a directory"):
        FileSystemBank(tmp_path / "bank")


def test_a_bank_whose_folder_became_unreadable(tmp_path: Path) -> None:
    bank = FileSystemBank(tmp_path / "bank")
    (tmp_path / "bank").write_text("a file")
    for verb in (lambda: bank.get("object"), lambda: bank.stat("object"), lambda: next(bank.list(), None)):
        with pytest.raises(BankUnreadable, match="Not a directory"):
            verb()
    with pytest.raises(BankError):
        bank.put("object", b"data")


def test_a_folder_below_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    bank = FileSystemBank(tmp_path)
    bank.put("b/object", b"data")
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(BankUnreadable, match=str(tmp_path)):
        list(bank.list())


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    bank = FileSystemBank(tmp_path / "bank")
    bank.put("folder/object", b"data")
    (tmp_path / "bank").chmod(0)
    try:
        with pytest.raises(BankUnreadable, match="Permission denied"):
            FileSystemBank(tmp_path / "bank")
        with pytest.raises(BankUnreadable, match="Permission denied"):
            bank.get("folder/object")
        with pytest.raises(BankError, match="Permission denied"):
            bank.put("folder/object", b"new")
    finally:
        (tmp_path / "bank").chmod(0o700)
    assert bank.get("folder/object") == b"data"


@pytest.mark.parametrize("name", ["lost+found", "a b", "%41", "a%3a", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "~"])
@pytest.mark.parametrize("below", ["", "/object"])
def test_what_others_keep_there_is_no_object(tmp_path: Path, name: str, below: str) -> None:
    bank = FileSystemBank(tmp_path)
    bank.put("object", b"data")
    theirs = tmp_path / (name + below)
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_bytes(b"")
    assert list(bank.list()) == ["object"]
    assert list(bank.folders()) == []


def test_what_a_dead_writer_left_is_no_object_and_goes_when_it_is_old(tmp_path: Path) -> None:
    incoming = tmp_path / "+incoming"
    incoming.mkdir()
    for name, age in (("old", 2 * 24 * 3600), ("young", 3600)):
        (incoming / name).write_bytes(b"half of a piece")
        then = incoming.stat().st_mtime - age
        os.utime(incoming / name, (then, then))
    bank = FileSystemBank(tmp_path)
    bank.put("object", b"data")
    assert list(bank.list()) == ["object"]
    assert [path.name for path in incoming.iterdir()] == ["young"]


@pytest.mark.parametrize("if_absent", [False, True])
@pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a", "a/b/c"), ("a/b", "a"), ("a/b/c", "a/b")])
def test_one_object_below_another_is_refused(tmp_path: Path, first: str, second: str, if_absent: bool) -> None:
    bank = FileSystemBank(tmp_path)
    bank.put(first, b"data")
    with pytest.raises(BankError, match=second):
        bank.put(second, b"data", if_absent=if_absent)
    assert list(bank.list()) == [first]
    assert list((tmp_path / "+incoming").iterdir()) == []


def test_a_bank_can_be_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "bank").symlink_to("disk")
    FileSystemBank(tmp_path / "bank").put("folder/object", b"data")
    assert FileSystemBank(tmp_path / "disk").get("folder/object") == b"data"


def test_a_full_disk_is_told_with_the_bytes_that_are_needed(tmp_path: Path) -> None:
    """On a real file system of 2 MB, which needs a mount name space of one's own."""
    mount = f'mount -t tmpfs -o size=2m none "{tmp_path}" && exec "$0" -c "$1" "{tmp_path}"'
    inside = ["unshare", "--user", "--map-root-user", "--mount"]
    trial = [*inside, "mount", "-t", "tmpfs", "none", str(tmp_path)]
    if shutil.which("unshare") is None or subprocess.run(trial, capture_output=True).returncode:
        pytest.skip("no mount name space can be made here")
    fill = [*inside, "sh", "-c", mount, sys.executable, FILL]
    message, state = subprocess.run(fill, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "no room for folder/large" in message
    assert "it needs 3000000 bytes" in message
    assert state == "['folder/small'] b'fits' 0"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_and_no_quota_are_the_same_to_a_caller(tmp_path: Path, number: int) -> None:
    bank = FileSystemBank(tmp_path)
    with pytest.raises(BankFull, match=r"folder/large .* needs 17 bytes"), bank._in_words("write", "folder/large", 17):
        raise OSError(number, os.strerror(number))
