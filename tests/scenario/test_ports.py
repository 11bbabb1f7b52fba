"""A server's ports: which of their addresses they keep when others have some, and what is told of living ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from topology import Topology
from web_server import application, image_booted

from karbor.cloud.kind import Object
from karbor.cloud.networks import FLOATING_IP, NETWORK, PORT, SECURITY_GROUP, SUBNET
from karbor.cloud.servers import SERVER
from karbor.model.resource import Ref
from karbor.plugins.server.ports import LOOKS
from karbor.store import operations
from karbor.testing import kills

MAC = "fa:16:3e:aa:00:11"
PAIR = {"ip_address": "10.5.0.99"}
STATEFUL = {"ip_version": 6, "cidr": "fd00:5::/64", "ipv6_address_mode": "dhcpv6-stateful"}
SLAAC = {"ip_version": 6, "cidr": "fd00:6::/64", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
SUBNETS: list[dict[str, Any]] = [
    {"ip_version": 4, "cidr": "10.5.0.0/24", "enable_dhcp": False},
    {"ip_version": 4, "cidr": "10.6.0.0/24", "enable_dhcp": False},
    STATEFUL,
    SLAAC,
]
CHOSEN = ["10.5.0.50", "10.5.0.51", "10.6.0.50", "fd00:5::50"]
AUTOMATIC = "fd00:6::f816:3eff:feaa:11"
LABEL = f"address {', '.join([*CHOSEN, AUTOMATIC])}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Topology]:
    with Topology(tmp_path) as site:
        yield site


def placed(site: Topology, network: str, addresses: list[str]) -> list[dict[str, str]]:
    """The `fixed_ips` that mean these addresses."""
    subnets = [(ip_network(subnet["cidr"]), subnet["id"]) for subnet in site.subnets(network)]
    return [
        {"subnet_id": next(id for cidr, id in subnets if ip_address(each) in cidr), "ip_address": each}
        for each in addresses
    ]


class Lost:
    """A server with one port of many addresses; server and port are gone, their network is still there."""

    def __init__(self, site: Topology) -> None:
        self.site = site
        self.network = site.network("net", SUBNETS)
        body = {"fixed_ips": placed(site, self.network, CHOSEN), "mac_address": MAC, "allowed_address_pairs": [PAIR]}
        port = site.create(PORT, {"network_id": self.network, **body})
        self.port = Ref(PORT.type, port)
        self.server = image_booted(site, networks=[{"port": port}])
        self.checkpoint = site.saved_once(self.server)
        site.remove(SERVER, self.server.id)
        site.remove(PORT, port)

    def squat(self, **body: Any) -> None:
        """Let somebody else have something of it."""
        self.site.create(PORT, {"network_id": self.network, **body})

    def squat_at(self, *addresses: str) -> None:
        self.squat(fixed_ips=placed(self.site, self.network, list(addresses)))

    def now(self, operation: Mapping[str, Any]) -> Object:
        return self.site.now(PORT, self.site.became(operation, self.port))

    def note(self, operation: Mapping[str, Any]) -> str:
        return self.site.notes_of(operation, self.server)[LABEL]


def addresses(port: Object) -> list[str]:
    return [each["ip_address"] for each in port["fixed_ips"]]


def tries(site: Topology, operation: Mapping[str, Any], ref: Ref) -> list[str]:
    """What became of each time that a port was asked for."""
    entries = operations.entries(site.database, operation["id"])
    return [each["state"] for each in entries if each["verb"] == "make" and each["old_id"] == ref.id]


def test_of_many_addresses_only_the_one_that_is_taken_is_given_up(site: Topology) -> None:
    lost = Lost(site)
    lost.squat_at("10.5.0.51")

    operation = site.restored(lost.checkpoint)

    port = lost.now(operation)
    (other,) = set(addresses(port)) - {*CHOSEN, AUTOMATIC}
    assert (port["mac_address"], len(port["fixed_ips"])) == (MAC, 5)
    assert {*CHOSEN, AUTOMATIC} - set(addresses(port)) == {"10.5.0.51"}
    assert other.startswith("10.5.0.")
    assert lost.note(operation) == "mapped: something living has 10.5.0.51, so the port got others"
    assert tries(site, operation, lost.port) == ["settled"]


def test_where_only_the_mac_is_taken_the_chosen_addresses_stay(site: Topology) -> None:
    lost = Lost(site)
    lost.squat(mac_address=MAC, fixed_ips=[])

    operation = site.restored(lost.checkpoint)

    port = lost.now(operation)
    assert port["mac_address"] != MAC
    assert {*CHOSEN, AUTOMATIC} - set(addresses(port)) == {AUTOMATIC}
    assert port["allowed_address_pairs"] == [{**PAIR, "mac_address": port["mac_address"]}]
    assert lost.note(operation) == (
        f"mapped: something living has {MAC}, so the port got others, and with another MAC also another address than "
        f"{AUTOMATIC}"
    )


def test_an_address_that_is_taken_after_the_outline_is_given_up_alone(site: Topology) -> None:
    lost = Lost(site)
    lost.squat_at("10.6.0.50")
    id = site.engine().start_restore(site.cloud(), lost.checkpoint)
    kills.killed(site, lambda engine: engine.run(id, site.cloud()), planned(site, lost.checkpoint))
    assert operations.get(site.database, id)["outline"] is not None
    lost.squat_at("fd00:5::50")

    operation = site.engine().run(id, site.cloud())

    assert operation["status"] == "success", operation["error_info"]
    port = lost.now(operation)
    assert port["mac_address"] == MAC
    assert {*CHOSEN, AUTOMATIC} - set(addresses(port)) == {"10.6.0.50", "fd00:5::50"}
    assert lost.note(operation) == "mapped: something living has 10.6.0.50, fd00:5::50, so the port got others"
    assert tries(site, operation, lost.port) == ["refused", "settled"]


def planned(site: Topology, checkpoint: str) -> int:
    """At which moment of a restore the outline is there and nothing is made yet."""
    id = site.engine().start_restore(site.cloud(), checkpoint)
    for moment in range(20):
        kills.killed(site, lambda engine: engine.run(id, site.cloud()), moment)
        if operations.get(site.database, id)["outline"] is not None:
            return moment
    raise AssertionError("no outline")


def test_what_is_refused_without_a_reason_to_be_seen_is_given_up_in_the_end(site: Topology) -> None:
    lost = Lost(site)
    asked_for = {"service": "network", "method": "POST", "path": "/ports", "body": "10.5.0.50"}
    site.fault(**asked_for, status=409, message="IP address is in use.", times=None)

    operation = site.restored(lost.checkpoint)

    port = lost.now(operation)
    assert port["mac_address"] != MAC
    assert not set(CHOSEN) & set(addresses(port))
    assert tries(site, operation, lost.port) == ["refused"] * (LOOKS + 1) + ["settled"]
    assert lost.note(operation).startswith(
        f"mapped: Neutron refused {', '.join([*CHOSEN, MAC])}, so the port got others, and with another MAC also "
        f"another address than {AUTOMATIC}: POST /ports of cloud 'sandbox': 409"
    )


def test_a_port_that_was_made_with_other_addresses_is_not_made_again(site: Topology) -> None:
    network = site.network("net", SUBNETS[:1])
    port = site.create(PORT, {"network_id": network, "fixed_ips": placed(site, network, CHOSEN[:1])})
    site.tag(f"/ports/{port}", "mine")
    server = image_booted(site, networks=[{"port": port}])
    checkpoint = site.saved_once(server)
    site.remove(SERVER, server.id)
    site.remove(PORT, port)
    site.fault(service="network", method="POST", path="/ports", body=CHOSEN[0], times=None, status=409)
    site.fault(service="network", method="PUT", path="/ports/.*/tags", times=None, status=400)
    row = site.restore(checkpoint, on_failure="keep")
    assert row["phase"] == "kept"
    (made,) = (port["id"] for port in site.all(PORT).values() if port["network_id"] == network)
    site.ask("/sandbox/faults", "DELETE")

    row = site.engine().run(row["id"], site.cloud())

    assert row["status"] == "success", row["error_info"]
    assert [port["id"] for port in site.all(PORT).values() if port["network_id"] == network] == [made]
    assert site.now(PORT, made)["tags"] == ["mine"]


def test_a_server_keeps_an_address_that_dhcp_would_have_taken(site: Topology) -> None:
    lost = LostToDhcp(site)
    operation = site.restored(lost.checkpoint)
    port = site.now(PORT, site.became(operation, lost.port))
    assert addresses(port) == lost.addresses
    assert site.notes_of(operation, lost.server)[lost.label] == "same"
    assert {each["mac_address"] for each in PORT.of_dhcp(site.cloud(), port["network_id"])} == {lost.dhcp}


def test_an_address_that_neutron_took_itself_is_given_up_and_the_mac_is_not(site: Topology) -> None:
    lost = LostToDhcp(site)
    site.fault(service="network", method="POST", path="/ports", body="reserved_dhcp_port", status=403, times=None)
    operation = site.restored(lost.checkpoint)
    port = site.now(PORT, site.became(operation, lost.port))
    lost.check(operation, port)
    assert port["allowed_address_pairs"] == [{**PAIR, "mac_address": MAC}]
    assert lost.dhcp not in {each["mac_address"] for each in PORT.of_dhcp(site.cloud(), port["network_id"])}
    said = site.notes(operation)["DHCP at 10.5.0.3"]
    assert said.startswith("mapped: refused, so Neutron chooses its address: POST /ports of cloud 'sandbox': 403")


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_refused_port_killed_at_every_commit_is_made_once_as_it_was_decided(
    site: Topology, point: kills.Point
) -> None:
    lost = LostToDhcp(site)
    site.fault(service="network", method="POST", path="/ports", body="reserved_dhcp_port", status=403, times=None)
    id = site.engine().start_restore(site.cloud(), lost.checkpoint)
    assert kills.killed_at_every_commit(site, id, lambda engine: site.resume(id, engine), point) > 0
    operation = site.resume(id)
    assert operation["status"] == "success", operation["error_info"]
    (port,) = (each for each in site.all(PORT).values() if not each["device_owner"].startswith("network:"))
    assert port["id"] == site.became(operation, lost.port)
    lost.check(operation, port)


class LostToDhcp:
    """A server whose port has the address that DHCP would take in a new network, and another; all is gone."""

    def __init__(self, site: Topology) -> None:
        self.site = site
        network = site.network("net", SUBNETS[:1])
        subnet = site.subnets(network)[0]["id"]
        fixed_ips = [{"subnet_id": subnet}, *placed(site, network, ["10.5.0.50"])]
        body = {"fixed_ips": fixed_ips, "mac_address": MAC, "allowed_address_pairs": [PAIR]}
        port = site.create(PORT, {"network_id": network, **body})
        self.port = Ref(PORT.type, port)
        self.addresses = addresses(site.now(PORT, port))
        self.label = f"address {', '.join(self.addresses)}"
        (self.first,) = set(self.addresses) - {"10.5.0.50"}
        SUBNET.turn_on_dhcp(site.cloud(), id=subnet)
        site.until(lambda: list(PORT.of_dhcp(site.cloud(), network)))
        (dhcp,) = PORT.of_dhcp(site.cloud(), network)
        self.dhcp = dhcp["mac_address"]
        self.server = image_booted(site, networks=[{"port": port}])
        self.checkpoint = site.saved_once(self.server)
        site.remove(SERVER, self.server.id)
        site.remove(PORT, port)
        site.remove(NETWORK, network)

    def check(self, operation: Mapping[str, Any], port: Object) -> None:
        """That the port lost the address to DHCP, nothing else, and the report says so."""
        assert port["mac_address"] == MAC
        assert set(self.addresses) - set(addresses(port)) == {self.first}
        assert len(port["fixed_ips"]) == 2
        note = self.site.notes_of(operation, self.server)[self.label]
        assert note == f"mapped: something living has {self.first}, so the port got others"
        assert tries(self.site, operation, self.port) == ["refused", "settled"]


def test_what_was_changed_of_a_port_that_still_waits_is_told_and_left(site: Topology) -> None:
    app = application(site)
    checkpoint = site.saved_once(app.ref)
    app.lose(ports=False)
    front, back = app.ports
    fixed_ips = [{**site.now(PORT, front)["fixed_ips"][0], "ip_address": "10.1.0.77"}]
    pairs = [{"ip_address": "10.1.0.98"}]
    FLOATING_IP.dissociate(site.cloud(), id=app.floating_ip, port_id=front)
    PORT.update(site.cloud(), id=front, fixed_ips=fixed_ips, security_groups=[], allowed_address_pairs=pairs)
    PORT.update(site.cloud(), id=back, admin_state_up=False, port_security_enabled=True)
    before = site.now(PORT, front)

    operation = site.restored(checkpoint)

    assert [site.became(operation, Ref(PORT.type, id)) for id in app.ports] == app.ports
    said = site.notes_of(operation, app.ref)
    assert said["address 10.1.0.50"] == (
        "mapped: its port still exists and is used as it is, with fixed_ips 10.1.0.77; security_groups none; "
        "allowed_address_pairs 10.1.0.98 (fa:16:3e:aa:00:01)"
    )
    assert said["address 10.2.0.60"] == (
        "mapped: its port still exists and is used as it is, with admin_state_up False; port_security_enabled True"
    )
    after = site.now(PORT, front)
    kept = ("mac_address", "fixed_ips", "security_groups", "allowed_address_pairs")
    assert [after[key] for key in kept] == [before[key] for key in kept]
    floating_ip = site.now(FLOATING_IP, app.floating_ip)
    assert (floating_ip["port_id"], floating_ip["fixed_ip_address"]) == (front, "10.1.0.77")


def test_a_port_that_waits_as_it_was_is_the_same(site: Topology) -> None:
    app = application(site)
    checkpoint = site.saved_once(app.ref)
    app.lose(ports=False)
    said = site.notes_of(site.restored(checkpoint), app.ref)
    assert said["address 10.1.0.50"] == "same: its port still exists and is used as it is"
    assert said["address 10.2.0.60"] == "same: its port still exists and is used as it is"


def test_a_port_that_waits_outside_the_restored_group_says_so(site: Topology) -> None:
    app = application(site)
    checkpoint = site.saved_once(app.ref)
    app.lose(ports=False)
    (group,) = site.now(PORT, app.ports[0])["security_groups"]
    PORT.update(site.cloud(), id=app.ports[0], security_groups=[])
    site.remove(SECURITY_GROUP, group)
    operation = site.restored(checkpoint)
    assert site.became(operation, Ref(SECURITY_GROUP.type, group)) != group
    assert site.notes_of(operation, app.ref)["address 10.1.0.50"].endswith("as it is, with security_groups none")


@pytest.mark.parametrize(("taken", "leads_to_old"), [("10.1.0.40", True), ("10.1.0.50", False)])
def test_a_floating_ip_leads_to_its_old_address_where_that_is_kept(
    site: Topology, taken: str, leads_to_old: bool
) -> None:
    app = application(site)
    front, network = app.ports[0], app.networks[0]
    PORT.update(site.cloud(), id=front, fixed_ips=placed(site, network, ["10.1.0.40", "10.1.0.50"]))
    before = site.now(FLOATING_IP, app.floating_ip)
    assert before["fixed_ip_address"] == "10.1.0.50"
    checkpoint = site.saved_once(app.ref)
    app.lose(surroundings=False)
    site.create(PORT, {"network_id": network, "fixed_ips": placed(site, network, [taken])})

    operation = site.restored(checkpoint)

    port = site.now(PORT, site.became(operation, Ref(PORT.type, front)))
    now = site.now(FLOATING_IP, app.floating_ip)
    assert now["port_id"] == port["id"]
    assert (now["fixed_ip_address"] == "10.1.0.50") is leads_to_old
    assert now["fixed_ip_address"] in addresses(port)
