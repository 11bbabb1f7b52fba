"""Key pairs and server groups: used where they are still the same, made where they are gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from topology import KEY, OTHER_KEY, Topology

from karbor.cloud.servers import KEYPAIR, SERVER_GROUP
from karbor.model.resource import Ref

MINE = Ref(KEYPAIR.type, "mine")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Topology]:
    with Topology(tmp_path) as site:
        yield site
        site.clear()


def key_pair(site: Topology, key: str = KEY) -> Ref:
    return Ref(KEYPAIR.type, site.create(KEYPAIR, {"name": "mine", "public_key": key, "type": "ssh"}))


def test_a_key_pair_comes_back_under_its_name(site: Topology) -> None:
    ref = key_pair(site)
    before = site.now(KEYPAIR, "mine")
    checkpoint = site.saved_once(ref)
    assert site.verify(checkpoint)["status"] == "success"
    site.remove(KEYPAIR, "mine")

    row = site.restored(checkpoint)

    after = site.now(KEYPAIR, "mine")
    assert site.became(row, ref) == "mine"
    assert [after[key] for key in ("public_key", "fingerprint", "type")] == [
        before[key] for key in ("public_key", "fingerprint", "type")
    ]


@pytest.mark.parametrize("surroundings", ["auto", "existing", "new"])
def test_the_same_key_is_used(site: Topology, surroundings: str) -> None:
    ref = key_pair(site)
    checkpoint = site.saved_once(ref)

    row = site.restored(checkpoint, surroundings=surroundings)

    assert site.made(row) == []
    assert site.became(row, ref) == "mine"


def test_another_key_of_that_name_keeps_it(site: Topology) -> None:
    ref = key_pair(site)
    checkpoint = site.saved_once(ref)
    site.remove(KEYPAIR, "mine")
    key_pair(site, OTHER_KEY)

    row = site.restored(checkpoint)

    name = site.became(row, ref)
    assert name.startswith("mine-karbor-")
    assert site.now(KEYPAIR, name)["public_key"] == KEY
    assert site.now(KEYPAIR, "mine")["public_key"] == OTHER_KEY
    assert site.notes_of(row, ref)["name"] == f"mapped: {name}, because mine is another key here"
    again = site.restored(checkpoint)
    assert site.made(again) == []
    assert site.became(again, ref) == name


@pytest.mark.parametrize("other", [None, OTHER_KEY])
def test_a_key_pair_that_has_to_exist_blocks(site: Topology, other: str | None) -> None:
    key_pair(site)
    checkpoint = site.saved_once(site.everything)
    site.remove(KEYPAIR, "mine")
    if other:
        key_pair(site, other)
    before = site.ids()

    row = site.restore(checkpoint, surroundings="existing")

    assert row["status"] == "fail"
    assert "OS::Nova::KeyPair 'mine' (mine) cannot be used" in row["error_info"]
    assert site.ids() == before


@pytest.mark.parametrize(
    "body", [{"policy": "affinity"}, {"policy": "anti-affinity", "rules": {"max_server_per_host": 2}}]
)
def test_a_server_group_comes_back(site: Topology, body: dict[str, object]) -> None:
    ref = Ref(SERVER_GROUP.type, site.create(SERVER_GROUP, {"name": "apart", **body}))
    before = site.now(SERVER_GROUP, ref.id)
    checkpoint = site.saved_once(site.everything)
    used = site.restored(checkpoint)
    assert site.became(used, ref) == ref.id
    site.remove(SERVER_GROUP, ref.id)

    row = site.restored(checkpoint)

    after = site.now(SERVER_GROUP, site.became(row, ref))
    assert {key: after[key] for key in ("name", "policy", "rules")} == {
        key: before[key] for key in ("name", "policy", "rules")
    }
