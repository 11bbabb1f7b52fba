"""Restores that went well and are taken back later: what people have made with them since stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from topology import KEY, OTHER_KEY, Topology
from web_server import application, image_booted

from karbor.cloud.blockstorage import SNAPSHOT, VOLUME
from karbor.cloud.networks import DHCP_PORT, FLOATING_IP, NETWORK, PORT, ROUTER, ROUTER_INTERFACE, SECURITY_GROUP
from karbor.cloud.servers import KEYPAIR, SERVER
from karbor.engine import report
from karbor.model.resource import Ref
from karbor.store import operations
from karbor.testing.rig import PATIENCE


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Topology]:
    with Topology(tmp_path, settings=replace(PATIENCE, delete_wait=0.5)) as site:
        yield site


def taken_back(site: Topology, row: Mapping[str, Any]) -> dict[str, Any]:
    site.engine().roll_back(row["id"], site.cloud())
    return dict(operations.get(site.database, row["id"]))


def test_a_network_that_a_port_is_in_keeps_its_parts(site: Topology) -> None:
    six = {"ip_version": 6, "cidr": "fd00:30::/64", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    ref = Ref(NETWORK.type, site.network("served", [{"ip_version": 4, "cidr": "10.30.0.0/24"}, six]))
    site.until(lambda: list(PORT.of_dhcp(site.cloud(), ref.id)))
    checkpoint = site.saved_once(ref)
    site.remove(NETWORK, ref.id)
    before = site.ids()
    operation = site.restored(checkpoint)
    id = site.became(operation, ref)
    mine = site.create(PORT, {"network_id": id})
    site.until(lambda: not list(DHCP_PORT.list(site.cloud())))
    parts = site.subnets(id), list(PORT.of_dhcp(site.cloud(), id))

    row = taken_back(site, operation)

    assert (row["status"], row["phase"]) == ("fail", "rollback")
    assert f"it is held by port {mine}: see that you need that no more" in row["error_info"]
    assert (site.subnets(id), list(PORT.of_dhcp(site.cloud(), id))) == parts
    site.remove(PORT, mine)
    assert taken_back(site, row)["phase"] == "ended"
    assert site.ids() == before
    assert report.restore_document(site.database, operations.get(site.database, row["id"]))["left"] == []


def test_a_security_group_that_a_port_is_in_keeps_its_rules(site: Topology) -> None:
    web, db = (Ref(SECURITY_GROUP.type, site.create(SECURITY_GROUP, {"name": name})) for name in ("web", "db"))
    site.rule(web.id, protocol="tcp", port_range_min=22, port_range_max=22)
    site.rule(web.id, remote_group_id=db.id)
    site.rule(db.id, remote_group_id=web.id)
    before = site.ids()
    checkpoint = site.saved_once(web)
    for ref in (web, db):
        site.remove(SECURITY_GROUP, ref.id)
    operation = site.restored(checkpoint)
    group = site.became(operation, web)
    network = site.network("mine", [{"ip_version": 4, "cidr": "10.30.0.0/24"}])
    mine = site.create(PORT, {"network_id": network, "security_groups": [group]})
    rules = [rule for rule in site.rules(group) if "db" not in rule]

    row = taken_back(site, operation)

    assert row["phase"] == "rollback"
    assert f"it is held by port {mine}: " in row["error_info"]
    assert site.rules(group) == rules, "but for the one that named the other group"
    site.remove(PORT, mine)
    assert taken_back(site, row)["phase"] == "ended"
    assert site.ids()["security_group"] == before["security_group"] - {web.id, db.id}


def test_a_router_that_a_network_of_mine_is_plugged_into_names_it(site: Topology) -> None:
    ref = Ref(ROUTER.type, site.create(ROUTER, {"name": "gate"}))
    checkpoint = site.saved_once(ref)
    operation = site.restored(checkpoint)
    router = site.became(operation, ref)
    network = site.network("mine", [{"ip_version": 4, "cidr": "10.30.0.0/24"}])
    mine = site.plug_in(router, network, site.subnets(network)[0], "10.30.0.1")

    row = taken_back(site, operation)

    assert row["phase"] == "rollback"
    held = f"it is held by its interface 10.30.0.1 in network {network} (port {mine}): see that you need that no more"
    assert held in row["error_info"]
    ROUTER_INTERFACE.delete(site.cloud(), mine)
    assert taken_back(site, row)["phase"] == "ended"


def test_a_floating_ip_that_points_elsewhere_by_now_stays_there(site: Topology) -> None:
    app = application(site)
    checkpoint = site.saved_once(app.ref)
    app.lose()
    operation = site.restored(checkpoint)
    assert site.became(operation, Ref(FLOATING_IP.type, app.floating_ip)) == app.floating_ip
    port = site.now(FLOATING_IP, app.floating_ip)["port_id"]
    mine = site.create(PORT, {"network_id": site.now(PORT, port)["network_id"]})
    FLOATING_IP.associate(site.cloud(), id=app.floating_ip, port_id=mine)

    taken_back(site, operation)

    assert PORT.get(site.cloud(), port) is None
    assert site.now(FLOATING_IP, app.floating_ip)["port_id"] == mine


def test_another_key_pair_under_the_name_stays(site: Topology) -> None:
    body = {"name": "mine", "type": "ssh"}
    ref = Ref(KEYPAIR.type, site.create(KEYPAIR, {**body, "public_key": KEY}))
    checkpoint = site.saved_once(ref)
    site.remove(KEYPAIR, "mine")
    operation = site.restored(checkpoint)
    site.remove(KEYPAIR, "mine")
    site.create(KEYPAIR, {**body, "public_key": OTHER_KEY})

    row = taken_back(site, operation)

    assert row["phase"] == "ended"
    assert site.now(KEYPAIR, "mine")["public_key"] == OTHER_KEY


def test_what_holds_a_volume_is_named_and_what_is_gone_is_told(site: Topology) -> None:
    volume = site.create(VOLUME, {"size": 1, "name": "data"})
    server = image_booted(site, networks="none")
    checkpoint = site.saved_once(server, Ref(VOLUME.type, volume))
    for kind, id in ((SERVER, server.id), (VOLUME, volume)):
        site.remove(kind, id)
    operation = site.restored(checkpoint)
    new = site.became(operation, Ref(VOLUME.type, volume))
    snapshot = site.create(SNAPSHOT, {"volume_id": new, "name": "mine"})

    row = taken_back(site, operation)

    assert f"it is held by its snapshot {snapshot}: " in row["error_info"]
    document = report.restore_document(site.database, row)
    status = {each["type"]: each["status"] for each in document["resources"]}
    assert (status[SERVER.type], status[VOLUME.type]) == ("error", "available")
    assert [each["id"] for each in document["left"]] == [new]
