"""Living routers that no longer lead where they led: they do again, or the outline says that a floating IP cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from topology import Topology
from web_server import Application, application, external

from karbor.cloud.networks import FLOATING_IP, NETWORK, ROUTER, ROUTER_INTERFACE, SUBNET
from karbor.model.resource import Ref


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Topology]:
    with Topology(tmp_path) as site:
        yield site


@pytest.fixture
def app(site: Topology) -> Application:
    return application(site)


@pytest.fixture
def checkpoint(site: Topology, app: Application) -> str:
    """A checkpoint of the server, which has lost its floating IP, and itself, since."""
    checkpoint = site.saved_once(app.ref)
    app.lose(ports=False)
    site.remove(FLOATING_IP, app.floating_ip)
    return checkpoint


def unplug(site: Topology, app: Application) -> dict[str, Any]:
    """Unplug the router from the server's network; the interface that it had there."""
    (port,) = site.interfaces(app.router)
    ROUTER_INTERFACE.delete(site.cloud(), port["id"])
    return dict(port)


def front(site: Topology, app: Application) -> str:
    (subnet,) = site.subnets(app.networks[0])
    return str(subnet["id"])


def plug_in_another(site: Topology, app: Application, *, leads_out: bool, address: str = "10.1.0.1") -> str:
    gateway = {"external_gateway_info": {"network_id": external(site.cloud())}} if leads_out else {}
    router = site.create(ROUTER, {"name": "other", **gateway})
    site.plug_in(router, app.networks[0], site.now(SUBNET, front(site, app)), address)
    return router


def blocked(site: Topology, checkpoint: str, **request: Any) -> str:
    """Restore, which must not begin; what it says."""
    before = site.ids()
    row = site.restore(checkpoint, **request)
    assert (row["status"], site.made(row), site.ids()) == ("fail", [], before)
    return str(row["error_info"])


def leads_to_the_server(site: Topology, app: Application) -> bool:
    (floating_ip,) = site.all(FLOATING_IP).values()
    return bool(floating_ip["port_id"] == app.ports[0])


def test_an_unplugged_router_is_plugged_in_again(site: Topology, app: Application, checkpoint: str) -> None:
    lost = unplug(site, app)
    before = site.ids()
    row = site.restored(checkpoint)
    (port,) = site.interfaces(app.router)
    assert (port["fixed_ips"], port["mac_address"]) == (lost["fixed_ips"], lost["mac_address"])
    assert leads_to_the_server(site, app)
    notes = site.notes_of(row, Ref(ROUTER.type, app.router))
    assert notes["connection of interface 10.1.0.1"] == "same: it had been unplugged, and is plugged in again"
    assert notes["interface 10.1.0.1"] == "same"
    site.engine().roll_back(row["id"], site.cloud())
    assert site.ids() == before
    assert site.interfaces(app.router) == []


def test_a_router_comes_back_beside_one_that_was_there_before(site: Topology, app: Application) -> None:
    inner = plug_in_another(site, app, leads_out=False, address="10.1.0.254")
    checkpoint = site.saved_once(app.ref)
    app.lose(ports=False)
    site.remove(FLOATING_IP, app.floating_ip)
    unplug(site, app)
    row = site.restored(checkpoint)
    assert [port["fixed_ips"][0]["ip_address"] for port in site.interfaces(app.router)] == ["10.1.0.1"]
    assert len(site.interfaces(inner)) == 1
    assert leads_to_the_server(site, app)
    notes = site.notes_of(row, Ref(ROUTER.type, app.router))
    assert notes["connection of interface 10.1.0.1"] == "same: it had been unplugged, and is plugged in again"


def test_a_cleared_gateway_is_set_again(site: Topology, app: Application, checkpoint: str) -> None:
    ROUTER.clear_gateway(site.cloud(), id=app.router)
    row = site.restored(checkpoint)
    assert ROUTER.has_gateway(site.cloud(), id=app.router, network_id=external(site.cloud()))
    assert leads_to_the_server(site, app)
    notes = site.notes_of(row, Ref(ROUTER.type, app.router))
    assert notes["gateway"] == "same: it had been cleared, and is set again"
    site.engine().roll_back(row["id"], site.cloud())
    assert site.now(ROUTER, app.router)["external_gateway_info"] is None
    assert len(site.interfaces(app.router)) == 1


def test_a_failed_restore_leaves_a_living_router_as_it_was(site: Topology, app: Application, checkpoint: str) -> None:
    unplug(site, app)
    ROUTER.clear_gateway(site.cloud(), id=app.router)
    before = site.ids()
    site.fault(service="compute", method="POST", path="/servers", action="late_error")
    assert site.restore(checkpoint)["status"] == "fail"
    assert site.ids() == before
    assert site.interfaces(app.router) == []
    assert site.now(ROUTER, app.router)["external_gateway_info"] is None


def test_a_subnet_that_another_router_has_by_now_is_left_to_it(
    site: Topology, app: Application, checkpoint: str
) -> None:
    unplug(site, app)
    other = plug_in_another(site, app, leads_out=True)
    row = site.restored(checkpoint)
    assert site.interfaces(app.router) == []
    assert leads_to_the_server(site, app)
    said = site.notes_of(row, Ref(ROUTER.type, app.router))["interface 10.1.0.1"]
    assert said.startswith(f"cannot: another router ({other}) is plugged into its subnet by now")


def test_a_router_that_leads_nowhere_blocks_the_floating_ip(site: Topology, app: Application, checkpoint: str) -> None:
    unplug(site, app)
    plug_in_another(site, app, leads_out=False)
    said, out = blocked(site, checkpoint), external(site.cloud())
    assert f"no router leads from subnet 10.1.0.0/24 ({front(site, app)}) to external network public ({out})" in said
    assert f"'r' ({app.router}) leads to {out}, but not from there; plug a router that leads there into it" in said
    assert "or restore with surroundings `new`, or name another network with the option restore_net_id" in said
    site.restored(checkpoint, surroundings="new")


def test_a_gateway_on_another_external_network_blocks_the_floating_ip(
    site: Topology, app: Application, checkpoint: str
) -> None:
    admin = site.cloud("sandbox-admin")
    outside = NETWORK.post(admin, {"name": "outside", "router:external": True})
    SUBNET.post(admin, {"network_id": outside, "ip_version": 4, "cidr": "203.0.113.0/24", "enable_dhcp": False})
    ROUTER.set_gateway(site.cloud(), id=app.router, network_id=outside)
    assert f"'r' ({app.router}) leads to {outside}; " in blocked(site, checkpoint)


def test_an_address_that_somebody_took_from_an_unplugged_router(
    site: Topology, app: Application, checkpoint: str
) -> None:
    lost = unplug(site, app)
    subnet = {"subnet_id": front(site, app), "ip_address": "10.1.0.1"}
    body = {"network_id": app.networks[0], "fixed_ips": [subnet], "mac_address": lost["mac_address"]}
    site.cloud().post("network", "/ports", {"port": body})
    row = site.restored(checkpoint)
    (port,) = site.interfaces(app.router)
    assert port["fixed_ips"][0]["ip_address"] != "10.1.0.1"
    assert leads_to_the_server(site, app)
    said = site.notes_of(row, Ref(ROUTER.type, app.router))["interface 10.1.0.1"]
    assert said.startswith("mapped: others hold 10.1.0.1")


def test_a_new_network_without_a_way_out_blocks_the_floating_ip(site: Topology, app: Application) -> None:
    """The router that is asked for leads to one external network, the floating IP is of another."""
    checkpoint = site.saved_once(app.ref)
    app.lose()
    admin = site.cloud("sandbox-admin")
    outside = NETWORK.post(admin, {"name": "outside", "router:external": True})
    SUBNET.post(admin, {"network_id": outside, "ip_version": 4, "cidr": "203.0.113.0/24", "enable_dhcp": False})
    said = blocked(site, checkpoint, parameters={ROUTER.type: {"public_network_id": outside}})
    assert "no router leads from subnet 10.1.0.0/24 " in said
    assert f"'r' ({app.router}) leads to {outside}; restore with surroundings `new`" in said
