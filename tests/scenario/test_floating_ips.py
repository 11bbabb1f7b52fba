"""Floating IPs of one port: each leads to an address of its own again, or the outline says that it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from topology import Topology
from web_server import external, image_booted, subnet_of

from karbor.cloud.networks import FLOATING_IP, NETWORK, PORT, ROUTER, SUBNET
from karbor.cloud.servers import SERVER
from karbor.model.resource import Ref

ADDRESSES = ["10.1.0.50", "10.1.0.51"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Topology]:
    with Topology(tmp_path) as site:
        yield site


class Doors:
    """A server with one port, to each address of which a floating IP leads."""

    def __init__(self, site: Topology) -> None:
        self.site = site
        self.network, self.subnet = led_out(site, "lan", "10.1.0.0/24", "10.1.0.1")
        body = {"network_id": self.network, "fixed_ips": [self.fixed(address) for address in ADDRESSES]}
        self.port = site.create(PORT, body)
        self.server = image_booted(site, networks=[{"port": self.port}])
        self.floating_ips = [self.lead_to(address) for address in ADDRESSES]
        self.outside = [site.now(FLOATING_IP, each)["floating_ip_address"] for each in self.floating_ips]
        self.checkpoint = site.saved_once(self.server)

    def fixed(self, address: str) -> dict[str, str]:
        return {"subnet_id": self.subnet, "ip_address": address}

    def lead_to(self, address: str) -> str:
        id = self.site.create(FLOATING_IP, {"floating_network_id": external(self.site.cloud())})
        FLOATING_IP.associate(self.site.cloud(), id=id, port_id=self.port, fixed_ip_address=address)
        return id

    def lose(self) -> None:
        self.site.remove(SERVER, self.server.id)
        self.site.remove(PORT, self.port)

    def lead_now(self) -> list[str]:
        """The addresses to which the two lead now."""
        return [self.site.now(FLOATING_IP, id)["fixed_ip_address"] for id in self.floating_ips]

    def notes(self, row: Any) -> list[str]:
        notes = self.site.notes_of(row, self.server)
        return [notes[f"floating IP {address}"] for address in self.outside]


def led_out(site: Topology, name: str, cidr: str, address: str) -> tuple[str, str]:
    """A network with a subnet, and a router that leads outside."""
    network, subnet = subnet_of(site, name, cidr)
    router = site.create(ROUTER, {"name": name, "external_gateway_info": {"network_id": external(site.cloud())}})
    site.plug_in(router, network, site.now(SUBNET, subnet), address)
    return network, subnet


@pytest.mark.parametrize("taken", ADDRESSES)
def test_the_floating_ip_of_a_taken_address_gets_one_of_its_own(site: Topology, taken: str) -> None:
    doors = Doors(site)
    doors.lose()
    site.create(PORT, {"network_id": doors.network, "fixed_ips": [doors.fixed(taken)]})

    row = site.restored(doors.checkpoint)

    port = site.now(PORT, site.became(row, Ref(PORT.type, doors.port)))
    there = {each["ip_address"] for each in port["fixed_ips"]}
    now = dict(zip(ADDRESSES, doors.lead_now(), strict=True))
    (kept,) = set(ADDRESSES) - {taken}
    assert now == {kept: kept, taken: (there - {kept}).pop()}


def test_both_lead_to_what_a_waiting_port_has_by_now(site: Topology) -> None:
    doors = Doors(site)
    site.remove(SERVER, doors.server.id)
    for id in doors.floating_ips:
        FLOATING_IP.dissociate(site.cloud(), id=id, port_id=doors.port)
    PORT.update(site.cloud(), id=doors.port, fixed_ips=[doors.fixed("10.1.0.77"), doors.fixed("10.1.0.51")])
    site.restored(doors.checkpoint)
    assert doors.lead_now() == ["10.1.0.77", "10.1.0.51"]


def test_one_address_takes_one_floating_ip_and_the_outline_says_so(site: Topology) -> None:
    doors = Doors(site)
    doors.lose()
    other, _ = led_out(site, "other", "10.2.0.0/24", "10.2.0.1")
    row = site.restored(doors.checkpoint, parameters={SERVER.type: {"restore_net_id": other}})
    assert site.became(row, Ref(PORT.type, doors.port))
    assert doors.notes(row)[1] == "cannot: others lead to all IPv4 addresses of its port"
    first, second = doors.lead_now()
    assert first.startswith("10.2.0.")
    assert second is None
    said = [item["outcome"] for item in row["outline"]["items"] if item.get("key") == f"floating IP {doors.outside[1]}"]
    assert said == ["cannot"]


def test_a_network_without_ipv4_has_no_address_for_a_floating_ip_and_the_server_comes_back(site: Topology) -> None:
    doors = Doors(site)
    six = site.network("six", [{"ip_version": 6, "cidr": "fd00:1::/64"}])
    row = site.restored(doors.checkpoint, parameters={SERVER.type: {"restore_net_id": six}})
    assert doors.notes(row) == ["cannot: its port has no IPv4 address"] * 2
    assert set(site.all(FLOATING_IP)) == set(doors.floating_ips)


def test_an_external_network_takes_no_ports_and_that_is_known_before(site: Topology) -> None:
    doors = Doors(site)
    before = site.ids()
    row = site.restore(doors.checkpoint, parameters={SERVER.type: {"restore_net_id": external(site.cloud())}})
    assert (row["status"], site.made(row), site.ids()) == ("fail", [], before)
    assert "is external, and a member gets only floating IPs from it" in row["error_info"]


def test_an_external_network_that_is_shared_takes_ports_but_no_floating_ip_leads_there(site: Topology) -> None:
    doors = Doors(site)
    NETWORK.put(site.cloud("sandbox-admin"), external(site.cloud()), shared=True)
    row = site.restored(doors.checkpoint, parameters={SERVER.type: {"restore_net_id": external(site.cloud())}})
    assert {note.partition(":")[0] for note in doors.notes(row)} == {"cannot"}
