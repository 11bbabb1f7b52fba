"""JSON objects in a bank: read within a bound, written once, and every damage told with the object's name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from karbor.banks.base import AlreadyThere, Bank
from karbor.model.errors import BankCorrupt

MAX_DOCUMENT = 512 * 1024 * 1024
"""Bytes of the largest document that is read: the index of an artifact of 16 TiB is less."""


def to_bytes(document: Mapping[str, Any]) -> bytes:
    """A small document as UTF-8 JSON that a person can read."""
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def read(bank: Bank, key: str) -> bytes:
    """The whole object. Raises NoSuchObject, and BankCorrupt when it is larger than a document can be."""
    raw = bank.get(key, 0, MAX_DOCUMENT + 1)
    if len(raw) > MAX_DOCUMENT:
        raise BankCorrupt(f"{bank.describe(key)} is larger than {MAX_DOCUMENT} bytes: it cannot be what was put there")
    return raw


def parse(bank: Bank, key: str, raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`, which was read from `key`. Raises BankCorrupt."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise damaged(bank, key, error) from error
    if not isinstance(document, dict):
        raise BankCorrupt(f"{bank.describe(key)} is damaged: it is not a JSON object")
    return document


def put_once(bank: Bank, key: str, data: bytes) -> None:
    """Put an object that never changes; the same bytes again are no error. Raises AlreadyThere when it differs."""
    try:
        bank.put(key, data, if_absent=True)
    except AlreadyThere:
        if bank.get(key, 0, len(data) + 1) != data:
            raise


def damaged(bank: Bank, key: str, error: Exception) -> BankCorrupt:
    """The error to raise when `key` holds something that cannot be understood."""
    return BankCorrupt(f"{bank.describe(key)} is damaged: {error}")
