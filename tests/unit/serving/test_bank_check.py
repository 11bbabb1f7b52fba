"""`karbor-manage bank check` tries all promises on the bank that is in use, and leaves it as it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click.testing
import pytest

from karbor.banks.base import Bank, BankProperties
from karbor.banks.fs import FileSystemBank
from karbor.banks.memory import MemoryBank
from karbor.providers import OS_INFRA, load_providers
from karbor.serving.manage import manage
from karbor.testing.bank_checks import CHECKS, NotPromised, try_all


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "karbor.conf"
    found.write_text(f"[DEFAULT]\nstate_path = {tmp_path}\nprovider_config_dir = {tmp_path}/providers.d\n")
    return found


def check(provider: str, file: Path) -> click.testing.Result:
    return click.testing.CliRunner().invoke(manage, ["bank", "check", provider, "--config-file", str(file)])


@pytest.mark.parametrize("provider", [OS_INFRA, "No-op"])
def test_a_good_bank_keeps_all_and_is_left_as_it_was(provider: str, file: Path, tmp_path: Path) -> None:
    archive = load_providers(tmp_path)[OS_INFRA].archive
    archive.claim()
    archive.bank.put("p/checkpoints/c/graph.json", b"{}")
    before = {key: archive.bank.get(key) for key in archive.bank.list()}
    done = check(provider, file)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [f"kept: {each.__name__.replace('_', ' ')}" for each in CHECKS]
    assert {key: archive.bank.get(key) for key in archive.bank.list()} == before
    assert list(archive.bank.folders()) == ["p"]


def test_it_needs_nothing_that_only_tests_need() -> None:
    line = "import sys, karbor.serving.manage; print({'pytest', 'hypothesis'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-P", "-c", line], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout == "set()\n"


def test_an_unknown_provider_and_a_bank_of_somebody_else_are_one_line(file: Path, tmp_path: Path) -> None:
    done = check("gold", file)
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert "there is no provider 'gold'" in done.output
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "thesis.txt").write_text("three years of work")
    done = check(OS_INFRA, file)
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert "is not Karbor's" in done.output
    assert [path.name for path in (tmp_path / "bank").iterdir()] == ["thesis.txt"]


def test_a_folder_in_which_nothing_can_be_kept_is_said(file: Path, tmp_path: Path) -> None:
    (tmp_path / "bank").write_text("a file where the bank should be")
    done = check(OS_INFRA, file)
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert str(tmp_path / "bank") in done.output


class Overwriting(MemoryBank):
    """Puts what it should leave alone."""

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        super().put(key, data)


class Unordered(MemoryBank):
    """Lists as a folder does."""

    def list(self, prefix: str = "", after: str | None = None):  # type: ignore[no-untyped-def]
        return reversed([*super().list(prefix, after)])


class Modest(MemoryBank):
    """Says that it cannot let one of many win."""

    properties = BankProperties("somewhere", atomic_create=False)


class Full(FileSystemBank):
    """Fails as disks do."""

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("bank", "broken"),
    [
        (Overwriting, {"put if absent changes nothing that is there", "of many that put if absent exactly one wins"}),
        (Unordered, {"list is in the order of characters", "list of a prefix", "list after any place"}),
    ],
)
def test_what_a_bank_does_not_keep_is_found(bank: type[Bank], broken: set[str]) -> None:
    bad = bank()
    found = {words: wrong for words, wrong in try_all(bad) if wrong is not None}
    assert broken <= set(found)
    assert list(bad.list()) == []


def test_what_it_does_not_promise_is_no_fault() -> None:
    (wrong,) = [wrong for _, wrong in try_all(Modest()) if wrong is not None]
    assert isinstance(wrong, NotPromised)


def test_whatever_it_raises_is_told_and_ends_nothing(tmp_path: Path) -> None:
    found = dict(try_all(Full(tmp_path)))
    assert len(found) == len(CHECKS)
    assert "No space left" in str(found["what is put is kept"])
    assert found["an empty bank is empty"] is None
