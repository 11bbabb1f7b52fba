"""Checks that a key pair could be made again from what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator

from karbor.plugins.keypair.facts import KeyPairFacts
from karbor.plugins.surroundings import VerifyFacts, lacking


class VerifyKeyPair(VerifyFacts):
    """Verify of a key pair."""

    Saved = KeyPairFacts

    def missing(self, facts: KeyPairFacts) -> Iterator[str]:
        return lacking("the key pair", vars(facts), ("name", "type", "public_key", "fingerprint"))
