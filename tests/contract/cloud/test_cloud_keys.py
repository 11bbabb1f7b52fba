"""Key pairs and server groups, which can carry no tag: how they are told from others, on every cloud."""

from __future__ import annotations

from ground import KEY, Ground, new_tag, refused

from karbor.cloud.servers import KEYPAIR, SERVER_GROUP
from karbor.plugins.keypair.facts import KeyPairFacts, name_beside


def test_a_key_pair_is_known_by_name_and_key(ground: Ground) -> None:
    cloud = ground.cloud
    name = f"tested {new_tag()}"
    body = {"name": name, "public_key": f"{KEY} me@here", "type": "ssh"}
    assert KEYPAIR.before(cloud, body) is False
    assert KEYPAIR.find(cloud, body, "", False) == []
    id = ground.create(KEYPAIR, body)
    assert id == name
    pair = ground.now(KEYPAIR, id)
    assert (pair["id"], pair["public_key"], pair["type"]) == (name, body["public_key"], "ssh")
    assert KEYPAIR.find(cloud, body, "", False) == [name]
    assert KEYPAIR.find(cloud, {**body, "public_key": "ssh-rsa other"}, "", False) == []
    assert KEYPAIR.is_still(cloud, name, body)
    assert not KEYPAIR.is_still(cloud, name, {**body, "public_key": "ssh-rsa other"})
    assert KEYPAIR.before(cloud, body) is True
    assert KEYPAIR.find(cloud, body, "", True) == []
    assert name in {pair["id"] for pair in KEYPAIR.list(cloud)}
    with refused(409):
        ground.ask(KEYPAIR, body)
    left = cloud.quota_left()["key_pairs"]
    ground.remove(KEYPAIR, name)
    assert cloud.quota_left()["key_pairs"] == (left or 0) + 1
    KEYPAIR.delete(cloud, name)


def test_the_same_key_has_the_same_fingerprint(ground: Ground) -> None:
    names = [f"tested {new_tag()}" for _ in range(2)]
    for name in names:
        ground.create(KEYPAIR, {"name": name, "public_key": KEY, "type": "ssh"})
    pairs = [ground.now(KEYPAIR, name) for name in names]
    assert pairs[0]["fingerprint"] == pairs[1]["fingerprint"]
    beside = name_beside(KeyPairFacts(name=names[0], fingerprint=pairs[0]["fingerprint"]))
    assert ground.create(KEYPAIR, {"name": beside, "public_key": KEY, "type": "ssh"}) == beside
    for wrong in ({"public_key": "no key"}, {"name": "no/slash"}, {"type": "odd"}):
        with refused(400):
            ground.ask(KEYPAIR, {"name": f"tested {new_tag()}", "public_key": KEY, "type": "ssh", **wrong})


def test_a_server_group_is_told_from_its_namesakes(ground: Ground) -> None:
    cloud = ground.cloud
    body = {"name": f"tested {new_tag()}", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}}
    first = ground.create(SERVER_GROUP, body)
    before = SERVER_GROUP.before(cloud, body)
    assert before == [first]
    assert SERVER_GROUP.find(cloud, body, "", before) == []
    second = ground.create(SERVER_GROUP, body)
    ground.create(SERVER_GROUP, {**body, "rules": {"max_server_per_host": 3}})
    assert SERVER_GROUP.find(cloud, body, "", before) == [second]
    assert second in {group["id"] for group in SERVER_GROUP.list(cloud)}
    ground.remove(SERVER_GROUP, second)
    SERVER_GROUP.delete(cloud, second)
    for wrong in ({"policy": "odd"}, {"policy": "affinity"}, {"metadata": {}}):
        with refused(400):
            ground.ask(SERVER_GROUP, {**body, **wrong})
