"""What is kept of key pairs and server groups, and what Nova is asked for when they come back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from karbor.plugins.keypair.facts import KeyPairFacts, key_pair_body, name_beside
from karbor.plugins.keypair.verify import VerifyKeyPair
from karbor.plugins.server_group.facts import ServerGroupFacts, server_group_body, server_group_facts
from karbor.plugins.server_group.verify import VerifyServerGroup

KEY = KeyPairFacts(name="me", public_key="ssh-ed25519 AAAA me", fingerprint="aa:bb")


def test_a_key_pair_is_imported_with_its_public_key() -> None:
    assert key_pair_body(KEY, "me") == {"name": "me", "type": "ssh", "public_key": "ssh-ed25519 AAAA me"}


@given(st.text(min_size=1, max_size=255), st.text(max_size=60), st.text(max_size=60))
def test_the_name_beside_another_key_is_one_for_each_key_and_never_too_long(name: str, one: str, other: str) -> None:
    first = name_beside(KeyPairFacts(name=name, fingerprint=one))

    assert first == name_beside(KeyPairFacts(name=name, fingerprint=one))
    assert (first == name_beside(KeyPairFacts(name=name, fingerprint=other))) == (one == other)
    assert len(first) <= 255
    assert first != name


def test_a_server_group_of_an_old_microversion_has_a_list_of_one_policy() -> None:
    assert server_group_facts({"id": "g", "name": "g", "policies": ["affinity"], "members": []}) == {
        "name": "g", "policy": "affinity", "rules": {},
    }  # fmt: skip


def test_rules_are_sent_only_where_there_are_any() -> None:
    apart = server_group_facts(
        {"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}, "members": ["s"]}
    )

    assert server_group_body(ServerGroupFacts(**apart)) == {
        "name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 2},
    }  # fmt: skip
    assert server_group_body(ServerGroupFacts("g", "affinity")) == {"name": "g", "policy": "affinity"}


def test_verify_names_what_is_missing() -> None:
    assert list(VerifyKeyPair().missing(KEY)) == []
    assert list(VerifyKeyPair().missing(KeyPairFacts(name="me"))) == [
        "public_key of the key pair", "fingerprint of the key pair",
    ]  # fmt: skip
    assert list(VerifyServerGroup().missing(ServerGroupFacts("g", "affinity"))) == []
    assert list(VerifyServerGroup().missing(ServerGroupFacts("g"))) == ["policy of the server group"]
