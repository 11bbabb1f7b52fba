"""Sealed credentials: opened by their key alone, noticed when changed, with a key file for nobody else's eyes."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from karbor.model.errors import Invalid, KarborError
from karbor.store.sealed import Seal

FACTS = {"kind": "token", "token": "gAAAA-secret", "project_id": "p"}


def new_key() -> str:
    return Fernet.generate_key().decode()


def test_what_was_sealed_is_opened_and_says_nothing() -> None:
    seal = Seal([new_key()])
    text = seal.seal(FACTS)
    assert seal.open(text) == FACTS
    assert not any(word in text for word in ("token", "secret", "gAAAA-"))
    assert seal.seal(FACTS) != text


def test_the_first_key_seals_and_all_open() -> None:
    old, new = new_key(), new_key()
    before = Seal([old]).seal(FACTS)
    both = Seal([new, old])
    assert both.open(before) == FACTS
    assert Seal([new]).open(both.seal(FACTS)) == FACTS


def test_a_wrong_key_and_a_changed_text_are_refused() -> None:
    key = new_key()
    text = Seal([key]).seal(FACTS)
    for seal, sealed in ((Seal([new_key()]), text), (Seal([key]), text[:-8] + "AAAAAAA="), (Seal([key]), "nonsense")):
        with pytest.raises(KarborError, match="cannot be opened") as error:
            seal.open(sealed)
        assert key not in str(error.value)


@pytest.mark.parametrize("keys", [[], ["short"], ["not base64 !"]])
def test_what_is_no_key_is_refused_and_not_repeated(keys: list[str]) -> None:
    with pytest.raises(Invalid, match="key") as error:
        Seal(keys)
    assert not any(key in str(error.value) for key in keys)


def test_a_missing_key_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    text = Seal.of_file(path).seal(FACTS)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Seal.of_file(path).open(text) == FACTS
    path.write_text(f"{new_key()}\n{path.read_text()}")
    assert Seal.of_file(path).open(text) == FACTS
    assert [file.name for file in tmp_path.iterdir()] == ["secret.key"]


def test_many_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    with ThreadPoolExecutor(16) as threads:
        seals = list(threads.map(lambda _: Seal.of_file(path), range(16)))
    assert all(seals[0].open(seal.seal(FACTS)) == FACTS for seal in seals)
    assert [file.name for file in tmp_path.iterdir()] == ["secret.key"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret.key"
    Seal.of_file(path)
    path.chmod(mode)
    with pytest.raises(Invalid, match=f"chmod 600 {re.escape(str(path))}"):
        Seal.of_file(path)


def test_a_key_file_that_is_none_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(KarborError, match=re.escape(str(tmp_path / "no" / "secret.key"))):
        Seal.of_file(tmp_path / "no" / "secret.key")
