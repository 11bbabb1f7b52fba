"""Clouds that lack something: commands say in words what is not there, end with 1, and leave nothing half made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from terminal import Ended, Terminal

from karbor.cloud.blockstorage import BACKUP, SNAPSHOT
from karbor.cloud.networks import NETWORK, PORT, SUBNET
from karbor.cloud.servers import FLAVOR, SERVER
from karbor.demo.application import Application, build, ground
from karbor.demo.destroy import destroy

SIZE = 64 << 10


class Shop(Terminal):
    """A person with the demo's application and a checkpoint of it."""

    app: Application
    checkpoint: str

    def furnish(self) -> Shop:
        self.app = build(self.cloud(), ground(self.cloud()), size=SIZE)
        self.checkpoint = self.protected("server/web", "server/db")
        return self

    def alone(self, network: str) -> tuple[str, str]:
        """A server without volumes that is plugged into this network only, and its port."""
        port = self.create(PORT, {"network_id": network, "name": "alone"})
        image = {"imageRef": self.app["base"], "flavorRef": ground(self.cloud()).flavor_id}
        return self.create(SERVER, {"name": "alone", **image, "networks": [{"port": port}]}), port

    def lacks(self, *names: str) -> None:
        """Let the cloud do without these from now on."""
        self.ask("/sandbox/lacks", "PUT", {"lacks": list(names)})
        self._clouds.clear()

    def cinder_backup(self, *, alive: bool) -> None:
        self.ask("/sandbox/services/cinder-backup", "PUT", {"alive": alive})

    def heal(self) -> None:
        self.lacks()
        self.cinder_backup(alive=True)
        self.ask("/sandbox/faults", "DELETE")

    def in_vain(self, *words: str) -> Ended:
        """Run a command that cannot succeed here: status 1, and the project holds what it held."""
        before = self.inventory()
        ended = self.run(*words)
        assert ended.status == 1, ended
        assert self.inventory() == before, ended
        return ended

    def in_one_line(self, *words: str) -> str:
        """The same for a command that cannot even begin: what it says, and nothing is written."""
        before = self.written()
        ended = self.in_vain(*words)
        assert ended.out == ""
        assert ended.err.startswith("karbor: ")
        assert ended.err.count("\n") == 1, ended.err
        assert self.written() == before
        return ended.err

    def blockers(self, checkpoint: str, *words: str) -> dict[str, str]:
        """What stands in the way of a restore by its dry run, by the name of the resource; the restore says it too."""
        outline = self.json("restore", checkpoint, *words, "--dry-run", status=1)["outline"]
        found = {each["resource"]["name"]: each["reason"] for each in outline["blockers"] if each["resource"]}
        restore = self.in_vain("restore", checkpoint, *words, "--format", "json").document["restore"]
        assert (restore["status"], restore["made"]) == ("fail", [])
        assert all(reason in restore["error_info"] for reason in found.values()), restore["error_info"]
        return found

    def is_restored(self, checkpoint: str, *words: str) -> Any:
        """Restore, first dry, then for good, then take it back; the restore's document."""
        before = self.inventory()
        assert self.json("restore", checkpoint, *words, "--dry-run")["outline"]["blockers"] == []
        restore = self.json("restore", checkpoint, *words)["restore"]
        assert restore["status"] == "success"
        self.json("operation", "rollback", restore["id"])
        assert self.inventory() == before
        return restore


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with Shop(tmp_path_factory.mktemp("shop"), tuple) as shop:
        yield shop


@pytest.fixture
def shop(furnished: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A shop with its living application, which each test leaves as it was, in a cloud that is whole again then."""
    for name in ("OS_CLOUD", "KARBOR_STATE"):
        monkeypatch.delenv(name, raising=False)
    furnished.capture = capsys.readouterr
    if not hasattr(furnished, "checkpoint"):
        furnished.furnish()
    yield furnished
    furnished.heal()


@pytest.fixture
def lost(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A shop whose application is gone."""
    for name in ("OS_CLOUD", "KARBOR_STATE"):
        monkeypatch.delenv(name, raising=False)
    with Shop(tmp_path, capsys.readouterr) as shop:
        shop.furnish()
        destroy(shop.cloud(), shop.app)
        yield shop


CLOSED = {
    "wrong password": (r"password: \w+", "password: wrong", "was refused; check user, password and project"),
    "no such user": (r"username: [\w-]+", "username: nobody", "was refused; check user, password and project"),
    "no such project": (r"project_name: [\w-]+", "project_name: x", "was refused; check user, password and project"),
    "nobody answers": (r"auth_url: \S+", "auth_url: http://127.0.0.1:1/v3", "got no answer"),
    "no such host": (r"auth_url: \S+", "auth_url: http://keystone.invalid:5000/v3", "got no answer"),
    "no Keystone there": (
        r"auth_url: (\S+)/identity/v3",
        r"auth_url: \1/nothing/v3",
        "is not possible; check its auth URL",
    ),
}


@pytest.mark.parametrize("why", CLOSED)
def test_a_cloud_that_lets_nobody_in(shop: Shop, why: str) -> None:
    pattern, instead, said = CLOSED[why]
    clouds = shop.folder / "clouds.yaml"
    good = clouds.read_text()
    shop.cloud()  # logged in, so that the test can look
    try:
        clouds.write_text(re.sub(pattern, instead, good))
        for words in ("protect server/web", f"restore {shop.checkpoint}", f"restore {shop.checkpoint} --dry-run"):
            told = shop.in_one_line(*words.split())
            assert told.startswith("karbor: logging in to cloud 'sandbox' ")
            assert said in told
    finally:
        clouds.write_text(good)


@pytest.mark.parametrize(
    ("service", "needing"),
    [
        ("volume", {"web-data", "db-root", "db-data", "db-log"}),
        ("image", {"base"}),
        ("network", {"web", "db", "front", "back"}),
        ("compute", {"key", "apart"}),
    ],
)
def test_a_service_that_the_catalogue_does_not_offer(shop: Shop, service: str, needing: set[str]) -> None:
    """Named are those that are looked at first; what stands on them is not, over and over again."""
    shop.lacks(service)
    said = f"cloud 'sandbox' offers no {service} service in region 'sandbox'; `openstack catalog list` shows"
    for things in (["server/web", "server/db"], ["project"]):
        assert said in shop.in_one_line("protect", *things)
    blockers = shop.blockers(shop.checkpoint)
    assert blockers.keys() == needing
    assert all(said in reason for reason in blockers.values())


def test_what_needs_no_volumes_is_saved_and_restored_without_cinder(shop: Shop) -> None:
    server, port = shop.alone(shop.app["back"])
    shop.lacks("volume")
    checkpoint = shop.protected("server/alone")
    shop.remove(SERVER, server)
    shop.is_restored(checkpoint)
    shop.json("checkpoint", "delete", checkpoint)
    shop.remove(PORT, port)


def test_what_needs_no_networks_is_saved_and_restored_without_neutron(shop: Shop) -> None:
    shop.lacks("network")
    checkpoint = shop.protected("volume/db-data", "image/base")
    shop.is_restored(checkpoint)
    shop.json("checkpoint", "delete", checkpoint)


def test_a_cloud_without_a_backup_service(shop: Shop) -> None:
    """No member can know it beforehand: Cinder takes the call and lets the backup fail."""
    before = shop.inventory()
    good = shop.protected("volume/web-data")
    shop.cinder_backup(alive=False)
    bad = shop.json("protect", "volume/db-data", status=1)["checkpoint"]
    (backup,) = (id for id, obj in shop.all(BACKUP).items() if obj["status"] == "error")
    reason = bad["resources"][0]["reason"]
    assert f"backup {backup} went into state error: Service not found for creating backup" in reason
    assert f"left behind: DELETE /backups/{backup} of cloud 'sandbox': 404 Service cinder-backup could not be" in reason
    assert shop.all(SNAPSHOT) == {}
    said = "Service cinder-backup could not be found"
    restore = shop.in_vain("restore", good, "--format", "json").document["restore"]
    assert said in restore["error_info"]
    assert said in shop.in_vain("restore", shop.checkpoint, "--format", "json").document["restore"]["error_info"]
    for checkpoint in (good, bad["id"]):
        deleted = shop.in_vain("checkpoint", "delete", checkpoint, "--format", "json").document["checkpoint"]
        assert deleted["status"] == "error-deleting"
        assert said in deleted["reason"]
    shop.cinder_backup(alive=True)
    shop.json("checkpoint", "delete", good, bad["id"])
    assert shop.inventory() == before


def provider_network(shop: Shop) -> str:
    """Another project's network that is shared with everybody."""
    admin, owner = shop.cloud("sandbox-admin"), shop.cloud("sandbox-b").project_id
    network = NETWORK.post(admin, {"name": "provider", "shared": True, "project_id": owner})
    SUBNET.post(admin, {"network_id": network, "ip_version": 4, "cidr": "192.0.2.0/24", "project_id": owner})
    return network


def forbid_networks(shop: Shop) -> None:
    said = "(rule:create_network) is disallowed by policy"
    shop.fault(service="network", method="POST", path="/networks", status=403, message=said, times=None)


def test_a_cloud_with_provider_networks_only(shop: Shop) -> None:
    """What was saved there comes back there; what needs a router is told beforehand."""
    network = provider_network(shop)
    server, port = shop.alone(network)
    shop.lacks("router")
    forbid_networks(shop)
    checkpoint = shop.protected("server/alone")
    shop.remove(SERVER, server)
    shop.remove(PORT, port)
    restore = shop.is_restored(checkpoint)
    why = {note["attribute"]: note["why"] for note in restore["notes"] if note["outcome"] == "cannot"}
    assert "in another project's network no member chooses an address or a MAC" in why.values()
    blockers = shop.blockers(shop.checkpoint)
    assert blockers.keys() == {"router"}
    assert "the network service of cloud 'sandbox' has no routers and no floating IPs" in blockers["router"]
    shop.json("checkpoint", "delete", checkpoint)
    NETWORK.delete(shop.cloud("sandbox-admin"), network)


def test_a_cloud_whose_members_may_not_make_networks(lost: Shop) -> None:
    """No service tells its policies: the dry run cannot know, and the restore takes back what it had begun."""
    forbid_networks(lost)
    assert lost.json("restore", lost.checkpoint, "--dry-run")["outline"]["blockers"] == []
    restore = lost.in_vain("restore", lost.checkpoint, "--format", "json").document["restore"]
    assert (restore["status"], restore["made"], restore["left"]) == ("fail", [], [])
    assert "403 (rule:create_network) is disallowed by policy" in restore["error_info"]
    lost.is_restored(lost.checkpoint, "--resource", "volume/db-data")


def lose_external_network(shop: Shop) -> None:
    admin = shop.cloud("sandbox-admin")
    for network in list(admin.pages("network", "/networks", "networks")):
        if network["router:external"]:
            NETWORK.delete(admin, str(network["id"]))


def test_a_cloud_without_an_external_network(lost: Shop) -> None:
    lose_external_network(lost)
    blockers = lost.blockers(lost.checkpoint)
    assert blockers.keys() == {"router"}
    assert "has no external network 'public'" in blockers["router"]
    assert "it has none at all; restore into a cloud that has, or only the parts that do without" in blockers["router"]
    restore = lost.is_restored(lost.checkpoint, "--resource", "server/db")
    assert {made["kind"] for made in restore["made"]} >= {"server", "network", "volume"}


def test_a_cloud_with_another_external_network(lost: Shop) -> None:
    lose_external_network(lost)
    admin = lost.cloud("sandbox-admin")
    other = NETWORK.post(admin, {"name": "outside", "router:external": True})
    SUBNET.post(admin, {"network_id": other, "ip_version": 4, "cidr": "203.0.113.0/24", "enable_dhcp": False})
    here = [f"--option={kind}.public_network_id={other}" for kind in ("router", "server")]
    for words, named in (([], "router"), (here[:1], "web")):
        blockers = lost.blockers(lost.checkpoint, *words)
        assert blockers.keys() == {named}
        assert f"name one of outside ({other}) with the option public_network_id" in blockers[named]
    restore = lost.is_restored(lost.checkpoint, *here)
    (address,) = (made["addresses"] for made in restore["made"] if made["kind"] == "floating_ip")
    assert address[0].startswith("203.0.113.")


@pytest.mark.parametrize(("quota", "size"), [("cores", "vcpus"), ("ram", "ram")])
def test_a_project_that_has_no_room_for_the_flavors(lost: Shop, quota: str, size: str) -> None:
    """Told before the volumes' long work, not by Nova after it."""
    flavor = FLAVOR.get(lost.cloud(), ground(lost.cloud()).flavor_id)
    assert flavor
    path, needed = f"/sandbox/quotas/{lost.cloud().project_id}", 2 * flavor[size]
    for limit, blockers in ((needed, []), (needed - 1, [f"the project's quota of {quota} has room for {needed - 1}"])):
        lost.ask(path, "PUT", {"compute": {quota: limit}})
        outline = lost.json("restore", lost.checkpoint, "--dry-run", status=len(blockers))["outline"]
        assert outline["needs"][quota] == needed
        assert [each["reason"].split(",")[0] for each in outline["blockers"]] == blockers
    assert lost.in_vain("restore", lost.checkpoint, "--format", "json").document["restore"]["made"] == []
    lost.ask(path, "PUT", {"compute": {quota: needed}})
    lost.is_restored(lost.checkpoint)
