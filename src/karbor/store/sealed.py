"""Credentials at rest: sealed with a key that is kept elsewhere, so that the database tells nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from karbor import clock
from karbor.model.errors import Invalid, KarborError


class Seal:
    """Turns facts into text that only the holder of a key can read, and notices when the text was changed.

    The first key seals, all of them open: a new key is put in front, and the old one goes when nothing is sealed with
    it any more. Raises Invalid where a key is none (32 bytes in URL-safe base64), or where there is no key.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise Invalid("there is no key to seal credentials with; give at least one")
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:  # its message may repeat the key
            raise Invalid("a key for sealing credentials is not 32 bytes in URL-safe base64") from None

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """The keys in a file, one a line; a missing file is made, with a new key and for its owner only.

        Raises Invalid where others can read the file, KarborError where it cannot be read or made.
        """
        try:
            if not path.exists():
                _make(path)
            if path.stat().st_mode & 0o077:
                raise Invalid(f"the key file {path} can be read by others; make it its owner's alone: chmod 600 {path}")
            return cls(path.read_text().split())
        except (OSError, UnicodeDecodeError) as error:
            raise KarborError(f"the key file {path} cannot be used: {error}") from error

    def seal(self, facts: Mapping[str, Any]) -> str:
        """The facts as a text that may lie anywhere."""
        return self._fernet.encrypt(json.dumps(dict(facts)).encode()).decode()

    def open(self, text: str) -> dict[str, Any]:
        """What was sealed. Raises KarborError where no key fits or the text was changed."""
        try:
            facts = json.loads(self._fernet.decrypt(text.encode()))
        except InvalidToken:
            raise KarborError(
                "a sealed credential cannot be opened: it was sealed with a key that is not here, or it was changed; "
                "give this engine the key again, or give the operation a new credential"
            ) from None
        return dict(facts)


def _make(path: Path) -> None:
    """Write a new key, all of it or nothing; of two processes that do so at once one wins."""
    draft = path.with_name(f"{path.name}.{clock.new_id()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(Fernet.generate_key().decode() + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
