"""Listings: which filters a service keeps, which it refuses, and which it drops without a word."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from ground import KEY, NOBODY, Ground, new_tag, refused

from karbor.cloud.blockstorage import BACKUP, SNAPSHOT, VOLUME
from karbor.cloud.images import IMAGE
from karbor.cloud.kind import Kind, Object
from karbor.cloud.networks import NETWORK, PORT, ROUTER, SECURITY_GROUP, SUBNET
from karbor.cloud.rest import RestKind
from karbor.cloud.servers import KEYPAIR, SERVER, SERVER_GROUP
from karbor.model.errors import Gone


def listed(ground: Ground, kind: RestKind, **filters: Any) -> list[Object]:
    """What the service answers to these filters, whatever Karbor makes of it."""
    return list(ground.cloud.pages(kind.service, kind.path + kind.details, kind.plural, params=filters))


def ids(ground: Ground, kind: RestKind, **filters: Any) -> list[str]:
    return [obj["id"] for obj in listed(ground, kind, **filters)]


@pytest.fixture(scope="module")
def server(shared: Ground) -> str:
    return shared.server(name=f"listed {new_tag()} once")


def test_nova_answers_with_everything_where_it_does_not_filter(ground: Ground, server: str) -> None:
    for name, value in (("metadata", '{"no": "such"}'), ("uuid", NOBODY), ("description", "no such"), ("host", "none")):
        assert server in ids(ground, SERVER, **{name: value}), name
    key = ground.create(KEYPAIR, {"name": f"listed {new_tag()}", "public_key": KEY, "type": "ssh"})
    group = ground.create(SERVER_GROUP, {"name": "listed", "policy": "affinity"})
    assert key in [each["keypair"]["name"] for each in listed(ground, KEYPAIR, limit=1000)]
    for kind, id in ((KEYPAIR, key), (SERVER_GROUP, group)):
        call = partial(ground.cloud.get, "compute", kind.path, params={"name": "no such"})
        assert id in str(call(microversion="2.74")[kind.plural]), "older versions hear nothing of it"
        with refused(400):
            call(microversion="2.75")


def test_nova_takes_names_for_patterns(ground: Ground, server: str) -> None:
    tag = str(ground.now(SERVER, server)["name"]).split()[1]
    for pattern in (tag, f"ed {tag} o", f"^l.*{tag}.*e$"):
        assert ids(ground, SERVER, name=pattern) == [server]
    assert ids(ground, SERVER, name=f"^{tag}") == []
    assert ids(ground, SERVER, tags="no such") == []
    with refused(400):
        listed(ground, SERVER, nonsense="x")


def test_cinder_filters_exactly_or_refuses(ground: Ground) -> None:
    volume = ground.volume()
    name = str(ground.now(VOLUME, volume)["name"])
    snapshot = ground.create(SNAPSHOT, {"volume_id": volume})
    assert ids(ground, VOLUME, name=name) == [volume]
    assert ids(ground, VOLUME, name=name[:-1]) == []
    assert ids(ground, SNAPSHOT, volume_id=volume) == [snapshot]
    assert ids(ground, SNAPSHOT, volume_id=NOBODY) == []
    assert ids(ground, BACKUP, volume_id=volume) == []
    for kind, name in ((VOLUME, "description"), (VOLUME, "id"), (BACKUP, "metadata"), (BACKUP, "description")):
        with refused(400):
            listed(ground, kind, **{name: "x"})


def test_neutron_filters_exactly_or_refuses(ground: Ground) -> None:
    (network, subnet), tags = ground.network(), (new_tag(), new_tag())
    ports = [
        ground.now(PORT, ground.create(PORT, {"network_id": network, "fixed_ips": [{"subnet_id": subnet}]}, tag))
        for tag in tags
    ]
    first = [ports[0]["id"]]
    assert ids(ground, PORT, description=tags[0]) == first
    assert ids(ground, PORT, description=tags[0][:-1]) == []
    assert ids(ground, PORT, mac_address=ports[0]["mac_address"]) == first
    address = ports[0]["fixed_ips"][0]["ip_address"]
    assert ids(ground, PORT, network_id=network, fixed_ips=f"ip_address={address}") == first
    assert sorted(ids(ground, PORT, id=[port["id"] for port in ports])) == sorted(port["id"] for port in ports)
    assert ids(ground, PORT, device_id=NOBODY) == []
    assert first[0] in ids(ground, PORT, network_id=network, device_id="")
    for kind in (NETWORK, PORT, ROUTER, SECURITY_GROUP):
        with refused(400):
            listed(ground, kind, nonsense="x")


def test_lists_are_read_to_their_end(ground: Ground, server: str) -> None:
    made = {ground.volume() for _ in range(2)}
    assert made <= set(ids(ground, VOLUME, limit=1))
    assert server in ids(ground, SERVER, limit=1)
    keys = {ground.create(KEYPAIR, {"name": f"listed {new_tag()}", "public_key": KEY, "type": "ssh"}) for _ in range(2)}
    assert keys <= {each["keypair"]["name"] for each in listed(ground, KEYPAIR, limit=1)}


def both(ground: Ground, kind: Kind, id: str) -> tuple[Object, Object]:
    """An object as the list shows it and as it shows itself, at a time when it does not change."""
    looks: list[Object] = []

    def steady() -> bool:
        looks[:] = [ground.now(kind, id), *(obj for obj in kind.list(ground.cloud) if obj["id"] == id)]
        return looks[0] == ground.now(kind, id)

    ground.until(steady)
    obj, entry = looks
    return entry, obj


def test_a_list_shows_of_an_object_what_it_shows_itself(ground: Ground, server: str) -> None:
    network, subnet = ground.network()
    volume = ground.volume()
    shown: list[tuple[Kind, str]] = [(SERVER, server), (VOLUME, volume), (NETWORK, network), (SUBNET, subnet)]
    shown += [(kind, ground.create(kind, body)) for kind, body in (
        (SNAPSHOT, {"volume_id": volume}),
        (PORT, {"network_id": network}),
        (ROUTER, {"name": "listed"}),
        (SECURITY_GROUP, {"name": "listed"}),
        (IMAGE, {"name": "listed", "disk_format": "raw", "container_format": "bare"}),
        (SERVER_GROUP, {"name": "listed", "policy": "affinity"}),
    )]  # fmt: skip
    for kind, id in shown:
        entry, obj = both(ground, kind, id)
        differing = {key for key in obj if obj[key] != entry.get(key)}
        assert differing == ({"server_groups"} if kind is SERVER else set()), kind.name


def test_zones_can_be_read(ground: Ground, server: str) -> None:
    for service, zone in (
        ("compute", ground.now(SERVER, server)["OS-EXT-AZ:availability_zone"]),
        ("volume", ground.now(VOLUME, ground.volume())["availability_zone"]),
    ):
        zones = ground.cloud.get(service, "/os-availability-zone")["availabilityZoneInfo"]
        assert zone in {each["zoneName"] for each in zones if each["zoneState"]["available"]}


def test_what_only_an_administrator_makes_is_gone_where_it_is_not(ground: Ground) -> None:
    for path in ("/qos/policies", "/address-groups"):
        with refused(404, Gone):
            ground.cloud.get("network", f"{path}/{NOBODY}")


def test_glance_filters_by_any_property(ground: Ground) -> None:
    mark, tag = new_tag(), new_tag()
    body = {"name": "listed", "disk_format": "raw", "container_format": "bare", "made_for": mark}
    image = ground.create(IMAGE, {**body, "tags": [tag]})
    hidden = ground.create(IMAGE, {**body, "os_hidden": True})
    assert ids(ground, IMAGE, made_for=mark) == [image]
    assert ids(ground, IMAGE, made_for=mark[:-1]) == []
    assert ids(ground, IMAGE, no_such_property="x") == []
    assert ids(ground, IMAGE, tag=tag) == [image]
    assert ids(ground, IMAGE, os_hidden="true", owner=ground.cloud.project_id, made_for=mark) == [hidden]
