"""Networks: made again as they were where they are gone, used as they are where they still exist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from topology import Topology, alike

from karbor.cloud.networks import NETWORK, PORT, ROUTER, SUBNET
from karbor.engine import report
from karbor.model.errors import NotFound
from karbor.model.resource import Ref

FRONT = {
    "ip_version": 4, "cidr": "10.10.0.0/24", "gateway_ip": "10.10.0.1", "name": "four", "description": "addresses",
    "allocation_pools": [{"start": "10.10.0.10", "end": "10.10.0.99"}, {"start": "10.10.0.150", "end": "10.10.0.200"}],
    "dns_nameservers": ["9.9.9.9", "1.1.1.1", "8.8.8.8"], "enable_dhcp": False,
    "host_routes": [{"destination": "10.66.0.0/16", "nexthop": "10.10.0.7"}],
}  # fmt: skip
SIX = {"ip_version": 6, "cidr": "fd00:10::/64", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
CLOSED = {"ip_version": 4, "cidr": "10.20.0.0/24", "gateway_ip": None, "enable_dhcp": False}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Topology]:
    with Topology(tmp_path) as site:
        yield site
        site.clear()


def front_of(site: Topology) -> Ref:
    """A network with all that a member can say of one."""
    body = {"description": "of the shop", "mtu": 1400, "port_security_enabled": False, "admin_state_up": False}
    id = site.network("front", [FRONT, SIX, CLOSED], **body)
    site.tag(f"/networks/{id}", "shop", "a,b")
    site.tag(f"/subnets/{site.subnets(id)[0]['id']}", "outer")
    return Ref(NETWORK.type, id)


def test_a_network_comes_back_as_it_was(site: Topology) -> None:
    ref = front_of(site)
    before, subnets = site.now(NETWORK, ref.id), site.subnets(ref.id)
    checkpoint = site.saved_once(ref)
    assert site.verify(checkpoint)["status"] == "success"
    site.remove(NETWORK, ref.id)

    operation = site.restored(checkpoint)

    id = site.became(operation, Ref(NETWORK.type, ref.id))
    assert alike(site.now(NETWORK, id)) == alike(before)
    assert [alike(subnet) for subnet in site.subnets(id)] == [alike(subnet) for subnet in subnets]
    assert site.became(operation, Ref(SUBNET.type, subnets[0]["id"])) == site.subnets(id)[0]["id"]
    assert set(site.notes_of(operation, ref).values()) == {"same"}
    read_before_its_graph_was_there = {**operation, "graph": None}
    assert report.restore_document(site.database, read_before_its_graph_was_there)["notes"] == []
    assert site.delete(checkpoint)["status"] == "deleted"


def test_dhcp_serves_from_its_old_addresses(site: Topology) -> None:
    stateful = {"ip_version": 6, "cidr": "fd00:20::/64", "ipv6_address_mode": "dhcpv6-stateful"}
    four = {"ip_version": 4, "cidr": "10.30.0.0/24", "description": "words", "enable_dhcp": False}
    ref = Ref(NETWORK.type, site.network("served", [four]))
    first = site.create(PORT, {"network_id": ref.id})
    SUBNET.turn_on_dhcp(site.cloud(), id=site.subnets(ref.id)[0]["id"])
    for body in (stateful, SIX):
        site.create(SUBNET, {"network_id": ref.id, **body})
    site.until(lambda: [len(each["fixed_ips"]) for each in PORT.of_dhcp(site.cloud(), ref.id)] == [3])
    site.remove(PORT, first)
    (before,), subnets = PORT.of_dhcp(site.cloud(), ref.id), site.subnets(ref.id)
    checkpoint = site.saved_once(ref)
    site.remove(NETWORK, ref.id)

    operation = site.restored(checkpoint)

    id = site.became(operation, ref)
    assert [alike(subnet) for subnet in site.subnets(id)] == [alike(subnet) for subnet in subnets]
    site.until(lambda: [len(each["fixed_ips"]) for each in PORT.of_dhcp(site.cloud(), id)] == [3])
    (after,) = PORT.of_dhcp(site.cloud(), id)
    addresses = [{each["ip_address"] for each in port["fixed_ips"]} for port in (before, after)]
    assert addresses[0] == addresses[1]
    assert alike(after, "fixed_ips", "device_id") == alike(before, "fixed_ips", "device_id")
    assert site.became(operation, Ref(PORT.type, before["id"])) == after["id"]
    said = {key: note for key, note in site.notes_of(operation, ref).items() if key.startswith("DHCP")}
    kept, *others = (each["ip_address"] for each in before["fixed_ips"])
    why = "mapped: Neutron chooses addresses in subnets with IPv6 modes"
    assert said == {f"DHCP at {kept}": "same", f"DHCP at {', '.join(others)}": why}


def test_what_is_kept_for_dhcp_is_all_that_it_had_without_ipv6_modes(site: Topology) -> None:
    plain = [{"ip_version": 4, "cidr": cidr, "enable_dhcp": False} for cidr in ("10.30.0.0/24", "10.31.0.0/24")]
    ref = Ref(NETWORK.type, site.network("served", plain))
    one, other = site.subnets(ref.id)
    first = site.create(PORT, {"network_id": ref.id, "fixed_ips": [{"subnet_id": one["id"]}]})
    for subnet in (one, other):
        SUBNET.turn_on_dhcp(site.cloud(), id=subnet["id"])
    site.until(lambda: [len(each["fixed_ips"]) for each in PORT.of_dhcp(site.cloud(), ref.id)] == [2])
    site.remove(PORT, first)
    checkpoint = site.saved_once(ref)
    site.remove(NETWORK, ref.id)

    operation = site.restored(checkpoint)

    notes = site.notes_of(operation, ref)
    (about,) = (key for key in notes if key.startswith("DHCP"))
    assert ("10.30.0.3" in about, "10.31.0.2" in about, notes[about]) == (True, True, "same")


def test_no_port_is_kept_for_dhcp_where_it_takes_the_same_address_anyway(site: Topology) -> None:
    ref = Ref(NETWORK.type, site.network("served", [{"ip_version": 4, "cidr": "10.30.0.0/24"}]))
    site.until(lambda: list(PORT.of_dhcp(site.cloud(), ref.id)))
    checkpoint = site.saved_once(ref)
    site.remove(NETWORK, ref.id)

    operation = site.restored(checkpoint)

    assert site.made(operation) == ["network", "subnet"]
    id = site.became(operation, ref)
    site.until(lambda: list(PORT.of_dhcp(site.cloud(), id)))
    (port,) = PORT.of_dhcp(site.cloud(), id)
    assert port["fixed_ips"][0]["ip_address"] == "10.30.0.2"


def test_a_named_network_is_made_beside_the_living_one(site: Topology) -> None:
    ref = front_of(site)
    checkpoint = site.saved_once(ref)

    operation = site.restored(checkpoint, parameters={NETWORK.type: {"restore_name": "second"}})

    id = site.became(operation, Ref(NETWORK.type, ref.id))
    assert (site.now(NETWORK, id)["name"], site.now(NETWORK, ref.id)["name"]) == ("second", "front")
    assert len(site.subnets(id)) == 3


def test_a_living_network_that_came_along_is_used(site: Topology) -> None:
    ref = front_of(site)
    checkpoint = site.saved_once(site.everything)
    before = site.ids()

    operation = site.restored(checkpoint)

    assert site.ids() == before
    assert site.became(operation, Ref(NETWORK.type, ref.id)) == ref.id
    assert site.became(operation, Ref(SUBNET.type, site.subnets(ref.id)[1]["id"])) == site.subnets(ref.id)[1]["id"]
    assert "restore_name" not in site.notes(operation)
    assert site.notes_of(operation, ref) == {"identity": "same: it is still there and is used as it is"}


def test_what_has_changed_of_a_living_network_is_told(site: Topology) -> None:
    ref = front_of(site)
    checkpoint = site.saved_once(site.everything)
    NETWORK.put(site.cloud(), ref.id, mtu=1300)
    site.tag(f"/networks/{ref.id}", "a,b")
    (subnet, *_) = site.subnets(ref.id)
    changes = {"gateway_ip": None, "dns_nameservers": ["1.1.1.1", "9.9.9.9", "8.8.8.8"], "enable_dhcp": True}
    SUBNET.put(site.cloud(), subnet["id"], **changes)
    site.create(SUBNET, {"network_id": ref.id, "ip_version": 4, "cidr": "10.30.0.0/24"})

    notes = site.notes_of(site.restored(checkpoint), ref)

    used = "mapped: the living one is used as it is, "
    assert notes == {
        "identity": "same: it is still there and is used as it is",
        "mtu": f"{used}with 1300 instead of 1400",
        "tags": f"{used}without shop",
        "subnets": f"{used}with 10.30.0.0/24",
        "subnet 10.10.0.0/24": (
            f"{used}with enable_dhcp True, dns_nameservers 1.1.1.1 9.9.9.9 8.8.8.8"
            " instead of gateway_ip 10.10.0.1, dns_nameservers 9.9.9.9 1.1.1.1 8.8.8.8"
        ),
    }


def test_new_surroundings_are_made_beside_living_ones(site: Topology) -> None:
    ref = front_of(site)
    checkpoint = site.saved_once(site.everything)

    operation = site.restored(checkpoint, surroundings="new")

    id = site.became(operation, Ref(NETWORK.type, ref.id))
    assert id != ref.id
    assert len(site.subnets(id)) == 3


def test_surroundings_that_have_to_exist_and_are_gone_block(site: Topology) -> None:
    ref = front_of(site)
    checkpoint = site.saved_once(site.everything)
    site.remove(NETWORK, ref.id)
    before = site.ids()

    operation = site.restore(checkpoint, surroundings="existing")

    assert operation["status"] == "fail"
    assert f"'front' ({ref.id}) cannot be used" in operation["error_info"]
    assert "restore with surroundings `auto` or `new`" in operation["error_info"]
    assert site.ids() == before


def test_a_network_that_lost_a_subnet_is_made_anew(site: Topology) -> None:
    ref = front_of(site)
    checkpoint = site.saved_once(site.everything)
    site.remove(SUBNET, site.subnets(ref.id)[0]["id"])

    operation = site.restored(checkpoint)

    id = site.became(operation, Ref(NETWORK.type, ref.id))
    assert id != ref.id
    assert len(site.subnets(id)) == 3
    assert site.notes_of(operation, ref)["identity"] == (
        "mapped: made anew, because it has lost its subnet 10.10.0.0/24"
    )


def test_a_cloud_with_smaller_packets_gives_its_own_mtu(site: Topology) -> None:
    ref = front_of(site)
    checkpoint = site.saved_once(ref)
    site.fault(
        service="network", method="POST", path="/networks", body='"mtu"', times=None, status=400,
        message="Requested MTU is too big, maximum is 1300.",
    )  # fmt: skip

    operation = site.restored(checkpoint)

    site.ask("/sandbox/faults", "DELETE")
    assert site.now(NETWORK, site.became(operation, Ref(NETWORK.type, ref.id)))["mtu"] == 1450
    assert site.notes_of(operation, ref)["mtu"] == "mapped: this cloud chooses it, because it refused 1400"


def test_a_refused_subnet_takes_the_network_back(site: Topology) -> None:
    checkpoint = site.saved_once(front_of(site))
    before = site.ids()
    site.fault(service="network", method="POST", path="/subnets", body="10.20", status=403)

    operation = site.restore(checkpoint)

    assert operation["status"] == "fail"
    assert site.ids() == before


def test_an_external_network_cannot_be_protected(site: Topology) -> None:
    with pytest.raises(NotFound):
        site.protect(Ref(NETWORK.type, site.external()))


def test_a_named_router_brings_its_networks_along(site: Topology) -> None:
    one, other = front_of(site), site.network("apart", [CLOSED])
    router = site.create(ROUTER, {"name": "r"})
    subnet = site.subnets(one.id)[0]
    site.plug_in(router, one.id, subnet, "10.10.0.1")
    checkpoint = site.saved_once(Ref(ROUTER.type, router))
    manifest = site.provider.archive.read_manifest(site.cloud().project_id, checkpoint)
    assert {resource.ref for resource in manifest.resources} == {Ref(ROUTER.type, router), one}
    assert other not in {resource.ref.id for resource in manifest.resources}
