"""Routers: made again with their interfaces and routes, or left as they are and only plugged into what is made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from topology import Topology, alike

from karbor.cloud.networks import NETWORK, PORT, ROUTER, ROUTER_INTERFACE
from karbor.model.resource import Ref

USED = "mapped: the living one is used as it is, "


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Topology]:
    with Topology(tmp_path) as site:
        yield site
        site.clear()


class Shop(NamedTuple):
    """A router between two networks and the world."""

    router: Ref
    front: Ref
    back: Ref


def shop_of(site: Topology) -> Shop:
    front = site.network(
        "front",
        [
            {"ip_version": 4, "cidr": "10.10.0.0/24", "gateway_ip": "10.10.0.1"},
            {"ip_version": 6, "cidr": "fd00:10::/64", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"},
        ],
    )
    back = site.network("back", [{"ip_version": 4, "cidr": "10.20.0.0/24", "gateway_ip": None}])
    body = {"name": "gate", "description": "of the shop", "external_gateway_info": {"network_id": site.external()}}
    router = site.create(ROUTER, body)
    four, six = site.subnets(front)
    site.plug_in(router, front, four, "10.10.0.1", name="leg", description="front leg")
    site.plug_in(router, front, six, "fd00:10::1")
    site.plug_in(router, back, site.subnets(back)[0], "10.20.0.254", mac_address="fa:16:3e:20:20:20")
    ROUTER.add_routes(site.cloud(), id=router, routes=[{"destination": "10.77.0.0/16", "nexthop": "10.20.0.9"}])
    site.tag(f"/routers/{router}", "gate")
    return Shop(Ref(ROUTER.type, router), Ref(NETWORK.type, front), Ref(NETWORK.type, back))


def remove_router(site: Topology, router: Ref) -> None:
    ROUTER.put(site.cloud(), router.id, routes=[])
    for port in site.interfaces(router.id):
        ROUTER_INTERFACE.delete(site.cloud(), port["id"])
    site.remove(ROUTER, router.id)


def unplug(site: Topology, router: Ref, network: Ref) -> None:
    ROUTER.put(site.cloud(), router.id, routes=[])
    for port in site.interfaces(router.id):
        if port["network_id"] == network.id:
            ROUTER_INTERFACE.delete(site.cloud(), port["id"])


def legs(site: Topology, router: str) -> list[dict[str, Any]]:
    """What has to be the same of a router's interfaces."""
    keys = ("name", "description", "mac_address", "device_owner", "security_groups", "port_security_enabled")
    return [
        {**{key: port[key] for key in keys}, "addresses": [fixed["ip_address"] for fixed in port["fixed_ips"]]}
        for port in site.interfaces(router)
    ]


def test_a_router_comes_back_with_its_networks(site: Topology) -> None:
    shop = shop_of(site)
    before, before_legs = site.now(ROUTER, shop.router.id), legs(site, shop.router.id)
    assert len(before_legs) == 3
    checkpoint = site.saved_once(shop.router)
    assert site.verify(checkpoint)["status"] == "success"
    remove_router(site, shop.router)
    for network in (shop.front, shop.back):
        site.remove(NETWORK, network.id)

    row = site.restored(checkpoint)

    router = site.became(row, shop.router)
    assert legs(site, router) == before_legs
    assert alike(site.now(ROUTER, router), "external_gateway_info") == alike(before, "external_gateway_info")
    gateway = site.now(ROUTER, router)["external_gateway_info"]
    assert gateway["network_id"] == site.external()
    assert {port["network_id"] for port in site.interfaces(router)} == {
        site.became(row, shop.front),
        site.became(row, shop.back),
    }
    notes = site.notes_of(row, shop.router)
    assert notes["route 10.77.0.0/16 via 10.20.0.9"] == "same"
    assert notes["external address"].startswith("mapped: was ")
    assert not any(note.startswith("cannot") for note in notes.values())


def test_a_living_router_is_plugged_into_what_is_made(site: Topology) -> None:
    shop = shop_of(site)
    before_legs = legs(site, shop.router.id)
    checkpoint = site.saved_once(site.everything)
    unplug(site, shop.router, shop.back)
    site.remove(NETWORK, shop.back.id)

    row = site.restored(checkpoint)

    assert site.made(row) == ["network", "subnet", "router_interface"]
    assert site.became(row, shop.router) == shop.router.id
    assert legs(site, shop.router.id) == before_legs
    assert site.now(ROUTER, shop.router.id)["routes"] == [{"destination": "10.77.0.0/16", "nexthop": "10.20.0.9"}]


def test_a_living_router_is_plugged_into_what_it_was_unplugged_from(site: Topology) -> None:
    shop = shop_of(site)
    before_legs = legs(site, shop.router.id)
    checkpoint = site.saved_once(site.everything)
    unplug(site, shop.router, shop.back)
    before = legs(site, shop.router.id)

    row = site.restored(checkpoint)

    assert site.made(row) == ["router_interface"]
    assert legs(site, shop.router.id) == before_legs
    assert site.now(ROUTER, shop.router.id)["routes"] == [{"destination": "10.77.0.0/16", "nexthop": "10.20.0.9"}]
    site.engine().roll_back(row["id"], site.cloud())
    assert legs(site, shop.router.id) == before
    assert site.now(ROUTER, shop.router.id)["routes"] == []


def test_what_has_changed_of_a_living_router_is_told(site: Topology) -> None:
    shop = shop_of(site)
    checkpoint = site.saved_once(site.everything)
    unplug(site, shop.router, shop.back)
    leg = next(port for port in site.interfaces(shop.router.id) if port["name"] == "leg")
    ROUTER_INTERFACE.delete(site.cloud(), leg["id"])
    site.plug_in(shop.router.id, shop.front.id, site.subnets(shop.front.id)[0], "10.10.0.254")
    ROUTER.put(site.cloud(), shop.router.id, name="door", external_gateway_info={})
    ROUTER.add_routes(site.cloud(), id=shop.router.id, routes=[{"destination": "10.88.0.0/16", "nexthop": "10.10.0.9"}])

    notes = site.notes_of(site.restored(checkpoint), shop.router)

    assert {name: note for name, note in notes.items() if note.startswith(USED)} == {
        "name": f"{USED}with door instead of gate",
        "routes": f"{USED}with 10.88.0.0/16 via 10.10.0.9",
        "interfaces": f"{USED}with 10.10.0.254 instead of 10.10.0.1",
    }, "what comes back is not among them"
    assert notes["gateway"] == "same: it had been cleared, and is set again"


def test_a_gateway_with_another_address_and_a_lost_route_are_told(site: Topology) -> None:
    shop = shop_of(site)
    checkpoint = site.saved_once(site.everything)
    ROUTER.put(site.cloud(), shop.router.id, routes=[], external_gateway_info={})
    first = site.create(ROUTER, {"name": "first", "external_gateway_info": {"network_id": site.external()}})
    ROUTER.set_gateway(site.cloud(), id=shop.router.id, network_id=site.external())
    (now,) = site.now(ROUTER, shop.router.id)["external_gateway_info"]["external_fixed_ips"]
    (before,) = site.saved(checkpoint, shop.router)["gateway"]["addresses"]
    assert now["ip_address"] != before

    notes = site.notes_of(site.restored(checkpoint), shop.router)

    site.remove(ROUTER, first)
    assert notes["gateway"] == f"{USED}with address {now['ip_address']} instead of address {before}"
    assert notes["routes"] == f"{USED}without 10.77.0.0/16 via 10.20.0.9"


def test_a_failed_restore_unplugs_a_living_router_again(site: Topology) -> None:
    shop = shop_of(site)
    checkpoint = site.saved_once(site.everything)
    unplug(site, shop.router, shop.back)
    site.remove(NETWORK, shop.back.id)
    before, before_legs = site.ids(), legs(site, shop.router.id)
    site.fault(service="network", method="PUT", path="/routers/.*/add_extraroutes", times=None, status=500)

    row = site.restore(checkpoint)

    assert row["status"] == "fail"
    assert site.ids() == before
    assert legs(site, shop.router.id) == before_legs
    assert site.now(ROUTER, shop.router.id)["routes"] == []


def test_a_named_router_is_made_beside_the_living_one(site: Topology) -> None:
    shop = shop_of(site)
    checkpoint = site.saved_once(shop.router)

    row = site.restored(checkpoint)

    assert site.became(row, shop.router) != shop.router.id
    assert site.made(row) == ["router", *["router_interface"] * 3]
    assert len(site.interfaces(shop.router.id)) == len(site.interfaces(site.became(row, shop.router))) == 3
    note = site.notes_of(row, shop.router)["interface 10.20.0.254"]
    assert note == "mapped: others hold 10.20.0.254, fa:16:3e:20:20:20 by now; the cloud chooses instead"


def test_overlap_with_a_network_that_is_still_there_makes_the_router_anew(site: Topology) -> None:
    shop = shop_of(site)
    checkpoint = site.saved_once(site.everything, shop.front)

    row = site.restored(checkpoint)

    front, router = site.became(row, shop.front), site.became(row, shop.router)
    assert front != shop.front.id, "what is named is made"
    assert site.became(row, shop.back) == shop.back.id
    assert router != shop.router.id
    assert "overlaps with the restored " in site.notes_of(row, shop.router)["identity"]
    kept = [leg["addresses"] for leg in legs(site, router)]
    assert ["10.10.0.1"] in kept
    assert ["fd00:10::1"] in kept
    (back_leg,) = [leg for leg in site.interfaces(router) if leg["network_id"] == shop.back.id]
    assert back_leg["fixed_ips"][0]["ip_address"] != "10.20.0.254"
    assert back_leg["mac_address"] != "fa:16:3e:20:20:20"


def test_overlap_blocks_where_surroundings_have_to_exist(site: Topology) -> None:
    shop = shop_of(site)
    checkpoint = site.saved_once(site.everything, shop.front)
    before = site.ids()

    row = site.restore(checkpoint, surroundings="existing")

    assert row["status"] == "fail"
    assert "overlaps with the restored " in row["error_info"]
    assert site.ids() == before


def test_the_gateway_goes_where_it_is_asked_to(site: Topology) -> None:
    shop = shop_of(site)
    checkpoint = site.saved_once(shop.router)

    unknown = "11111111-2222-3333-4444-555555555555"
    row = site.restore(checkpoint, parameters={ROUTER.type: {"public_network_id": unknown}})
    assert row["status"] == "fail"
    assert f"has no external network '{unknown}'" in row["error_info"]

    wanted = {"public_network_id": site.external(), "restore_name": "second"}
    row = site.restored(checkpoint, parameters={ROUTER.type: wanted})
    assert site.now(ROUTER, site.became(row, shop.router))["name"] == "second"


def test_options_for_a_living_network_and_router_that_are_used_are_not_lost_silently(site: Topology) -> None:
    shop_of(site)
    checkpoint = site.saved_once(site.everything)
    before = site.ids()
    wanted = {NETWORK.type: {"restore_name": "N2"}, ROUTER.type: {"public_network_id": site.external()}}

    operation = site.restored(checkpoint, parameters=wanted)

    assert site.ids() == before
    ignored = "cannot: the living one is used as it is; surroundings `new` make one"
    said = site.notes(operation)
    assert (said["restore_name"], said["public_network_id"]) == (ignored, ignored)


def test_a_route_that_leads_nowhere_is_left_out(site: Topology) -> None:
    shop = shop_of(site)
    checkpoint = site.saved_once(shop.router)
    site.fault(
        service="network", method="PUT", path="/routers/.*/add_extraroutes", status=400,
        message="Invalid format for routes, the nexthop is not connected with router",
    )  # fmt: skip

    row = site.restored(checkpoint)

    assert site.now(ROUTER, site.became(row, shop.router))["routes"] == []
    assert site.notes_of(row, shop.router)["route 10.77.0.0/16 via 10.20.0.9"].startswith("cannot: ")


def test_an_address_that_somebody_took_meanwhile_is_told(site: Topology) -> None:
    shop = shop_of(site)
    checkpoint = site.saved_once(site.everything)
    remove_router(site, shop.router)
    fixed_ips = [{"subnet_id": site.subnets(shop.back.id)[0]["id"], "ip_address": "10.20.0.254"}]
    site.create(PORT, {"network_id": shop.back.id, "fixed_ips": fixed_ips})

    row = site.restored(checkpoint)

    router = site.became(row, shop.router)
    (leg,) = [leg for leg in site.interfaces(router) if leg["network_id"] == shop.back.id]
    assert leg["mac_address"] == "fa:16:3e:20:20:20"
    assert site.notes_of(row, shop.router)["interface 10.20.0.254"] == (
        "mapped: others hold 10.20.0.254 by now; the cloud chooses instead"
    )
