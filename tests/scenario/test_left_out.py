"""What belongs to a project and cannot be saved is said: broken servers and volumes are errors that name themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from terminal import Terminal
from web_server import external, smallest_flavor, subnet_of

from karbor.cloud.blockstorage import BACKUP, SNAPSHOT, VOLUME
from karbor.cloud.images import IMAGE
from karbor.cloud.networks import FLOATING_IP, PORT, ROUTER, ROUTER_INTERFACE
from karbor.cloud.servers import SERVER


@dataclass
class Project:
    """Servers that share one network, and volumes of which some are no good."""

    person: Terminal

    def __post_init__(self) -> None:
        self.network, _ = subnet_of(self.person, "lan", "10.9.0.0/24")

    def server(self, name: str, status: str = "ACTIVE", *volumes: str) -> str:
        cloud = self.person.cloud()
        image = next(each["id"] for each in cloud.pages("image", "/images", "images") if each["status"] == "active")
        body = {"name": name, "flavorRef": smallest_flavor(cloud), "imageRef": image}
        id = self.person.create(SERVER, {**body, "networks": [{"uuid": self.network}]})
        for volume in volumes:
            SERVER.attach(cloud, id=id, volume_id=volume)
            self.person.until(lambda volume=volume: SERVER.is_attached(cloud, id=id, volume_id=volume) is True)
        if status == "ERROR":
            SERVER.action(self.person.cloud("sandbox-admin"), id, "os-resetState", {"state": "error"})
        elif status != "ACTIVE":
            SERVER.action(cloud, id, {"RESCUE": "rescue", "SUSPENDED": "suspend"}[status])
        self.person.until(lambda: self.person.now(SERVER, id)["status"] == status)
        return id

    def volume(self, name: str, status: str = "available") -> str:
        id = self.person.volume(name)
        self.mark(id, status)
        return id

    def mark(self, id: str, status: str) -> None:
        """Bring a volume into this state, which takes an administrator."""
        VOLUME.action(self.person.cloud("sandbox-admin"), id, "os-reset_status", {"status": status})


@pytest.fixture
def project(person: Terminal) -> Project:
    return Project(person)


def statuses(checkpoint: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["status"] for item in checkpoint["resources"]}


def reasons(checkpoint: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["reason"] for item in checkpoint["resources"]}


WAYS_OUT = {"ERROR": "reboot it hard first", "RESCUE": "unrescue it first", "SUSPENDED": "resume it first"}


def test_a_project_with_something_broken_says_so_and_saves_the_rest(person: Terminal, project: Project) -> None:
    project.server("good")
    broken = {status.lower(): project.server(status.lower(), status) for status in WAYS_OUT}
    sick = project.volume("sick", "error")
    person.volume("well")
    document = person.json("protect", "project", status=3)["checkpoint"]
    assert document["status"] == "error"
    assert statuses(document) == {
        "sandbox": "error", "good": "available", "lan": "available", "default": "available", "well": "available",
        "error": "error", "rescue": "error", "suspended": "error", "sick": "error",
    }  # fmt: skip
    for status, way_out in WAYS_OUT.items():
        reason = reasons(document)[status.lower()]
        assert f"({broken[status.lower()]}) is {status}; only servers that are ACTIVE, SHUTOFF or PAUSED" in reason
        assert way_out in reason
    assert "cannot be protected while it is error; it has to be available or in-use" in reasons(document)["sick"]
    assert f"openstack volume set --state available {sick}" in reasons(document)["sick"]
    told = person.run("checkpoint", "show", document["id"]).out
    for name, reason in reasons(document).items():
        assert name in told
        assert reason in told
    assert "unrescue it first" in person.run("protect", "project").out
    restored = person.json("restore", document["id"], "--resource", "server/good", "--resource", "volume/well")
    assert restored["restore"]["status"] == "success"


def test_a_project_whose_rest_is_nothing_to_protect_is_whole(person: Terminal, project: Project) -> None:
    project.server("good")
    leaving = {project.volume("leaving", "deleting"), project.volume("stuck", "error_deleting")}
    cinders = person.volume("backup-vol-00000000-0000-0000-0000-000000000000")
    queued = person.create(IMAGE, {"name": "queued", "disk_format": "raw", "container_format": "bare"})
    document = person.json("protect", "project")["checkpoint"]
    assert statuses(document) == dict.fromkeys(("sandbox", "good", "lan", "default"), "available")
    for kind in ("volume", "image"):
        offered = {item["id"] for item in person.json("protectable", "list", kind)["instances"]}
        assert not offered & {*leaving, cinders, queued}
    assert cinders in person.run("protect", f"volume/{cinders}").err


def test_a_broken_server_can_be_named_and_takes_no_other_along(person: Terminal, project: Project) -> None:
    good, broken = project.server("good"), project.server("broken", "ERROR")
    assert {good, broken} == {item["id"] for item in person.json("protectable", "list", "server")["instances"]}
    document = person.json("protect", "server/good", "server/broken", status=3)["checkpoint"]
    assert statuses(document) == {"good": "available", "broken": "error", "lan": "available", "default": "available"}
    before = person.inventory()
    alone = person.json("protect", "server/broken", status=1)["checkpoint"]
    assert set(statuses(alone).values()) == {"error"}
    assert person.inventory() == before


def test_the_volumes_of_a_broken_server_are_saved_with_the_project(person: Terminal, project: Project) -> None:
    project.server("broken", "ERROR", person.volume("data"))
    document = person.json("protect", "project", status=3)["checkpoint"]
    assert (statuses(document)["broken"], statuses(document)["data"]) == ("error", "available")
    assert (len(person.all(BACKUP)), len(person.all(SNAPSHOT))) == (1, 0)
    restored = person.json("restore", document["id"], "--resource", "volume/data")["restore"]
    assert restored["status"] == "success"


def test_a_server_on_a_broken_volume_is_an_error_that_names_the_volume(person: Terminal, project: Project) -> None:
    project.server("good")
    data = person.volume("data")
    project.server("bad", "ACTIVE", data)
    project.mark(data, "error_extending")
    document = person.json("protect", "project", status=3)["checkpoint"]
    bad = {name for name, status in statuses(document).items() if status == "error"}
    assert bad == {"sandbox", "bad", "data"}
    assert data in reasons(document)["bad"]
    assert "is error_extending" in reasons(document)["bad"]


def test_a_server_that_is_being_deleted_is_left_alone(person: Terminal, project: Project) -> None:
    project.server("good")
    going = project.server("going")
    person.ask("/sandbox/delay", "PUT", {"seconds": 600})
    SERVER.delete(person.cloud(), going)
    person.ask("/sandbox/delay", "PUT", {"seconds": 0})
    assert person.now(SERVER, going)["status"] == "ACTIVE"
    document = person.json("protect", "project")["checkpoint"]
    assert statuses(document) == dict.fromkeys(("sandbox", "good", "lan", "default"), "available")
    assert going in person.run("protect", f"server/{going}").err


def test_ports_and_floating_ips_of_no_server_are_told_with_the_project(person: Terminal, project: Project) -> None:
    cloud = person.cloud()
    server = project.server("good")
    router = person.create(ROUTER, {"external_gateway_info": {"network_id": external(cloud)}})
    leg = person.create(ROUTER_INTERFACE, {"router_id": router, "network_id": project.network})
    ROUTER.add_interface(cloud, id=router, port_id=leg)
    (own,) = (id for id, port in person.all(PORT).items() if port["device_id"] == server)
    body = {"network_id": project.network, "name": "vip"}
    vip = person.create(PORT, {**body, "fixed_ips": [{"ip_address": "10.9.0.99"}]})
    balancer = person.create(PORT, {**body, "name": "", "device_owner": "Octavia", "device_id": "lb-1"})
    floating = {}
    for name, port in (("of the server", own), ("of the vip", vip), ("spare", None)):
        id = person.create(FLOATING_IP, {"floating_network_id": external(cloud)})
        floating[name] = person.now(FLOATING_IP, id)["floating_ip_address"]
        if port:
            FLOATING_IP.associate(cloud, id=id, port_id=port)

    document = person.json("protect", "project")["checkpoint"]

    (told,) = (item["not_kept"] for item in document["resources"] if item["name"] == "sandbox")
    address = person.now(PORT, balancer)["fixed_ips"][0]["ip_address"]
    assert sorted(told) == sorted([
        f"port {vip}: vip at 10.9.0.99 belongs to no server",
        f"port {balancer}: the one at {address} belongs to Octavia lb-1, which is no server of this checkpoint",
        f"floating IP {floating['of the vip']}: it points to port {vip}, which belongs to no server",
        f"floating IP {floating['spare']}: it points to nothing",
    ])  # fmt: skip
    project.server("broken", "ERROR")
    again = person.json("protect", "project", status=3)["checkpoint"]
    assert [item["not_kept"] for item in again["resources"] if item["name"] == "sandbox"] == [told]
