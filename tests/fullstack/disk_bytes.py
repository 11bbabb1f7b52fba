"""The bytes that a volume is expected to hold, as a hash: what is compared with what a cloud reads back."""

from __future__ import annotations

import hashlib


def sha256_of_disk(data: bytes, gib: int = 1) -> str:
    """The hash of a disk of this size that begins with `data`; the rest was never written to."""
    seen = hashlib.sha256(data)
    zeros, left = bytes(1 << 20), (gib << 30) - len(data)
    while left:
        seen.update(zeros[:left])
        left -= min(left, len(zeros))
    return seen.hexdigest()
