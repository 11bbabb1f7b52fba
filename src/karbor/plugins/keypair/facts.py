"""What is kept of a key pair, and the body that makes it again. The private key is nobody's but the user's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

LONGEST_NAME = 255


@dataclass(frozen=True)
class KeyPairFacts:
    """A key pair under Nova's own names."""

    name: str = ""
    type: str = "ssh"
    """`ssh` or `x509`."""
    public_key: str = ""
    fingerprint: str = ""


def name_beside(facts: KeyPairFacts) -> str:
    """The name of the restored key pair where another key has its own: always the same for the same key."""
    mark = f"-karbor-{hashlib.sha256(facts.fingerprint.encode()).hexdigest()[:8]}"
    return facts.name[: LONGEST_NAME - len(mark)] + mark


def key_pair_body(facts: KeyPairFacts, name: str) -> dict[str, Any]:
    """The create body of the key pair."""
    return {"name": name, "type": facts.type, "public_key": facts.public_key}
