"""Whole applications: what of them is lost decides what is made again, what is used and what has to differ."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import cloud_time
import pytest
from shop import Shop

from karbor import clock
from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.images import IMAGE
from karbor.cloud.networks import FLOATING_IP, PORT, ROUTER_INTERFACE
from karbor.cloud.servers import SERVER
from karbor.demo import disks, waits
from karbor.demo.application import Application, ground
from karbor.demo.compare import mapping_of
from karbor.model.resource import Ref
from karbor.store import operations

COMPLETE = 3
DHCP_PORTS = 1
"""Of the application's networks only `front` has DHCP."""
AT_REST = ("available", "reserved", "attaching", "in-use", "active")
"""States of volumes and images whose bytes are there."""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop(tmp_path) as shop:
        yield shop


def image_of(shop: Shop, data: bytes) -> str:
    id = disks.queue_image(shop.cloud(), {"name": "base", "disk_format": "raw", "container_format": "bare"})
    shop.cloud().upload(id, iter([data]))
    return id


def server_on(shop: Shop, image: str, name: str) -> str:
    body = {"name": name, "imageRef": image, "flavorRef": ground(shop.cloud()).flavor_id, "networks": "none"}
    id = SERVER.post(shop.cloud(), body)
    waits.ready(shop.cloud(), SERVER, id)
    return id


def guest_writes(shop: Shop, server: str, data: bytes) -> None:
    """What a guest does on its disk without asking the cloud."""
    with (shop.folder / "sandbox" / "bytes" / server).open("r+b") as disk:
        disk.write(data)


def test_two_servers_from_one_image_get_each_its_own_bytes_back(shop: Shop) -> None:
    base = Random(1).randbytes(80_000)
    image = image_of(shop, base)
    servers = {name: server_on(shop, image, name) for name in ("left", "right")}
    for number, id in enumerate(servers.values()):
        guest_writes(shop, id, Random(number).randbytes(30_000))
    before = {name: disks.own_disk_sha256(shop.cloud(), id) for name, id in servers.items()}
    assert before["left"] != before["right"]

    protect = shop.protect(*(Ref(SERVER.type, id) for id in servers.values()))
    assert protect["status"] == "available", protect["error_info"]
    waits.removed(shop.cloud(), SERVER, servers.values())
    waits.removed(shop.cloud(), IMAGE, [image])
    restore = shop.restored(protect["checkpoint_id"])

    now = {item["name"]: item["restored_id"] for item in restore["resources"] if item["type"] == SERVER.type}
    assert {name: disks.own_disk_sha256(shop.cloud(), id) for name, id in now.items()} == before
    (base_image,) = (item["restored_id"] for item in restore["resources"] if item["type"] == IMAGE.type)
    assert b"".join(shop.cloud().download(base_image)) == base


def test_all_that_was_lost_together_comes_back_together(shop: Shop) -> None:
    app = shop.open()
    before = shop.picture(app)
    checkpoint = shop.protected(app)
    shop.destroy(app)
    created = shop.creates()
    restore = shop.restored(checkpoint)
    again = shop.again(app, restore)
    assert shop.is_as_before(before, app, restore)
    for role in ("web-front", "web-back", "db-back"):
        network = "front" if role == "web-front" else "back"
        assert shop.now(PORT, again[role])["network_id"] == again[network] != app[network]
        assert shop.now(PORT, again[role])["device_id"] == again["web" if "web" in role else "db"]
    made = {kind: number - created[kind] for kind, number in shop.creates().items() if number != created[kind]}
    assert {kind: made[kind] for kind in ("network", "router", "security_group", "server", "volume")} == {
        "network": 2, "router": 1, "security_group": 2, "server": 2, "volume": 4,
    }  # fmt: skip


def test_a_floating_ip_that_is_gone_is_replaced_and_that_is_said(shop: Shop) -> None:
    app = shop.open()
    old = shop.now(FLOATING_IP, app["address"])["floating_ip_address"]
    checkpoint = shop.protected(app)
    shop.destroy(app)
    restore = shop.restored(checkpoint)
    floating_ip = shop.now(FLOATING_IP, shop.again(app, restore)["address"])
    new = floating_ip["floating_ip_address"]
    assert floating_ip["port_id"] == shop.again(app, restore)["web-front"]
    (note,) = (note for note in restore["notes"] if note["attribute"] == f"floating IP {old}")
    assert (note["outcome"], note["why"]) == ("mapped", f"it became {new}")
    (told,) = (item["addresses"] for item in restore["made"] if item["kind"] == FLOATING_IP.name)
    assert new in told


def test_a_lost_server_alone_goes_back_to_where_it_was(shop: Shop) -> None:
    app = shop.open()
    before, created = shop.holds(), shop.creates()
    checkpoint = shop.protected(app)
    waits.removed(shop.cloud(), SERVER, [app["web"]])
    restore = shop.restored(checkpoint, resources=[Ref(SERVER.type, app["web"])])
    again = shop.again(app, restore)
    for kind in ("network", "subnet", "router", "security_group", "security_group_rule", "server_group", "floatingip"):
        assert shop.holds()[kind] == before[kind], kind
        assert shop.creates()[kind] == created[kind], kind
    assert shop.creates()["keypair"] == created["keypair"]
    ports = {port["id"]: port for port in shop.all(PORT).values() if port["device_id"] == again["web"]}
    assert {port["network_id"] for port in ports.values()} == {app["front"], app["back"]}
    assert {group for port in ports.values() for group in port["security_groups"]} == {app["group web"]}
    assert shop.now(SERVER, again["web"])["server_groups"] == [app["apart"]]
    assert shop.now(FLOATING_IP, app["address"])["port_id"] in ports
    assert SERVER.get(shop.cloud(), app["db"]) is not None


def addresses(shop: Shop, app: Application) -> set[str]:
    ports = (shop.now(PORT, app[role]) for role in ("web-front", "web-back", "db-back"))
    return {each["ip_address"] for port in ports for each in port["fixed_ips"]}


def test_beside_the_living_one_a_second_application_stands_with_other_addresses(shop: Shop) -> None:
    app = shop.open()
    checkpoint = shop.protected(app)
    before = shop.picture(app)
    restore = shop.restored(checkpoint)
    now = shop.picture(app)
    assert [role for role in before if before[role] != now[role]] == ["apart"], "the group has two more members"
    mapping = mapping_of(restore)
    copy = shop.again(app, restore)
    for role in ("web", "db", "web-data", "db-root", "db-data", "db-log"):
        assert copy[role] != app[role], role
    for role in ("front", "back", "router", "group web", "group db", "key", "apart"):
        assert mapping.get(app[role], app[role]) == app[role], role
    ours, theirs = addresses(shop, app), addresses(shop, copy)
    assert not ours & theirs
    said = {note["attribute"]: note["outcome"] for note in restore["notes"]}
    labels = ("address 10.20.0.20", "address 10.30.0.20", "address 10.30.0.30")
    assert [outcome for key, outcome in said.items() if key.startswith(labels)] == ["mapped"] * 3
    told = {address for item in restore["made"] if item["kind"] == PORT.name for address in item["addresses"]}
    assert told == theirs
    both = [shop.now(FLOATING_IP, each["address"]) for each in (app, copy)]
    assert both[0]["floating_ip_address"] != both[1]["floating_ip_address"]
    assert both[1]["port_id"] == copy["web-front"]


def test_with_new_surroundings_the_second_application_has_networks_of_its_own(shop: Shop) -> None:
    app = shop.open()
    checkpoint = shop.protected(app)
    before = shop.picture(app)
    restore = shop.restored(checkpoint, surroundings="new")
    copy = shop.again(app, restore)
    assert shop.picture(app) == before
    for role in ("front", "back", "router", "group web", "group db", "apart"):
        assert copy[role] != app[role], role
    assert addresses(shop, copy) == addresses(shop, app)
    assert shop.now(PORT, copy["db-back"])["network_id"] == copy["back"]


def test_ports_and_floating_ips_do_not_wait_for_volumes(shop: Shop) -> None:
    app = shop.open()
    checkpoint = shop.protected(app)
    shop.destroy(app)
    cloud_time.hold(shop.sandbox)

    def all_ports_and_the_address_are_there() -> bool:
        of_servers = {port["id"] for port in shop.all(PORT).values() if not port["device_owner"]}
        led_to = {address["port_id"] for address in shop.all(FLOATING_IP).values()}
        return len(of_servers) == len(app.of(PORT)) and bool(led_to & of_servers)

    with ThreadPoolExecutor(1) as threads:
        restore = threads.submit(shop.restored, checkpoint)
        shop.until(lambda: restore.done() or all_ports_and_the_address_are_there())
        there = [volume["status"] for volume in shop.all(VOLUME).values()]
        assert there and "available" not in there
        assert shop.all(SERVER) == {}
        cloud_time.finish(shop.sandbox)
        restore.result()


def test_an_outline_has_everything_once(shop: Shop) -> None:
    app = shop.open()
    checkpoint = shop.protected(app)
    shop.destroy(app)
    _, outline = shop.engine().outline(shop.cloud(), checkpoint)
    about = [
        (item["node"], item["verb"], item.get("kind"), *item.get("old", ()), item.get("key"))
        for item in outline["items"]
    ]
    assert len(set(about)) == len(about)
    assert outline["needs"]["ports"] == len(app.of(PORT)) + len(app.of(ROUTER_INTERFACE)) + DHCP_PORTS


class Watcher:
    """Notes, beside a running restore, when volumes and images were last seen without their bytes."""

    def __init__(self, shop: Shop) -> None:
        self.last: dict[str, str] = {}
        self._shop = shop
        self._stop = threading.Event()

    def look(self) -> None:
        while not self._stop.wait(0.02):
            asked = clock.now()
            for kind in (VOLUME, IMAGE):
                for obj in kind.list(self._shop.cloud()):
                    if obj["status"] not in AT_REST:
                        self.last[str(obj["id"])] = asked

    def stop(self) -> None:
        self._stop.set()


def hook_times(shop: Shop, operation: str, app: Application) -> Mapping[str, Mapping[str, Any]]:
    """When `on_complete` of each server ran, by the server's role."""
    resources = operations.get(shop.database, operation)["graph"]["resources"]
    roles = {id: role for role, id in app.of(SERVER).items()}
    return {
        roles[resources[hook["node"]]["id"]]: hook
        for hook in operations.hooks(shop.database, operation)
        if hook["hook"] == COMPLETE and resources[hook["node"]]["id"] in roles
    }


def test_a_server_is_put_together_when_its_volumes_and_images_are_there(tmp_path: Path) -> None:
    with Shop(tmp_path, delay=0.5) as shop:
        app = shop.open()
        checkpoint = shop.protected(app)
        shop.destroy(app)
        shop.fault(service="image", method="PUT", path="/images/.*/file", action="slow", seconds=1.0, times=None)
        watcher = Watcher(shop)
        with ThreadPoolExecutor(1) as threads:
            watching = threads.submit(watcher.look)
            restore = shop.restored(checkpoint)
            watcher.stop()
            watching.result()
        again = shop.again(app, restore)
        began = hook_times(shop, restore["id"], app)
        needs = {"web": ("web-data", "own disk of web"), "db": ("db-root", "db-data", "db-log")}
        for server, roles in needs.items():
            for role in roles:
                assert watcher.last[again[role]] < began[server]["started_at"], role
