"""What a server gets while it is being protected: its checkpoint never says that it is good without that."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from topology import KEY, Topology
from web_server import image_booted, shared_network, subnet_of, volume_of

from karbor.cloud.networks import NETWORK, PORT, SECURITY_GROUP
from karbor.cloud.servers import KEYPAIR, SERVER
from karbor.model.resource import Ref
from karbor.store import checkpoints


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Topology]:
    with Topology(tmp_path) as site:
        yield site


@pytest.fixture
def server(site: Topology) -> Ref:
    """A server with a port in a network of its own."""
    network, _ = subnet_of(site, "lan", "10.1.0.0/24")
    return image_booted(site, networks=[{"port": site.create(PORT, {"network_id": network})}])


def attach(site: Topology, server: Ref, volume: str) -> None:
    SERVER.attach(site.cloud(), id=server.id, volume_id=volume)
    site.until(lambda: SERVER.is_attached(site.cloud(), id=server.id, volume_id=volume) is True)


def plug_in(site: Topology, server: Ref, network: str) -> None:
    """Give the server a NIC more."""
    body = {"interfaceAttachment": {"net_id": network}}
    site.cloud().post("compute", f"{SERVER.at(server.id)}/os-interface", body)


def volume_comes(site: Topology, server: Ref) -> Ref:
    volume = volume_of(site, "late", bootable=False)
    attach(site, server, volume)
    return Ref("OS::Cinder::Volume", volume)


def network_comes(site: Topology, server: Ref) -> Ref:
    network, _ = subnet_of(site, "late", "10.2.0.0/24")
    plug_in(site, server, network)
    return Ref(NETWORK.type, network)


def group_comes(site: Topology, server: Ref) -> Ref:
    group = site.create(SECURITY_GROUP, {"name": "late"})
    (port,) = (port for port in site.all(PORT).values() if port["device_id"] == server.id)
    PORT.update(site.cloud(), id=port["id"], security_groups=[group])
    return Ref(SECURITY_GROUP.type, group)


COMES: tuple[Callable[[Topology, Ref], Ref], ...] = (volume_comes, network_comes, group_comes)


@pytest.mark.parametrize("comes", COMES)
def test_what_comes_to_a_server_after_its_graph_was_made_fails_it_by_name(
    site: Topology, server: Ref, comes: Callable[[Topology, Ref], Ref]
) -> None:
    id = site.start_protect(server)
    late = comes(site, server)

    row = site.engine().run(id, site.cloud())

    assert row["status"] == "error"
    assert f"server 'own' ({server.id}) has got {late} while it was being protected" in row["error_info"]
    again = site.saved_once(server)
    assert str(late.id) in str(checkpoints.get(site.database, again)["resources"])


def test_a_volume_that_comes_while_a_killed_protect_rests_fails_the_server(site: Topology, server: Ref) -> None:
    id = site.start_protect(server)
    assert site.killed_at(id, 1)
    late = volume_comes(site, server)
    row = site.resume(id)
    assert row["status"] == "error"
    assert str(late) in row["error_info"]


def test_what_another_project_shares_is_no_latecomer(site: Topology, server: Ref) -> None:
    office, _ = shared_network(site)
    id = site.start_protect(server)
    plug_in(site, server, office)
    row = site.engine().run(id, site.cloud())
    assert row["status"] == "available", row["error_info"]
    assert office in [each["id"] for each in site.saved(row["checkpoint_id"], server)["networks"]]


def test_what_a_server_only_names_is_no_latecomer(site: Topology) -> None:
    """A key pair that has long gone, and a group that an operator has put on its port, which the project cannot see."""
    network, _ = subnet_of(site, "lan", "10.1.0.0/24")
    port = site.create(PORT, {"network_id": network})
    site.create(KEYPAIR, {"name": "key", "public_key": KEY, "type": "ssh"})
    server = image_booted(site, networks=[{"port": port}], key_name="key")
    site.remove(KEYPAIR, "key")
    group = SECURITY_GROUP.post(site.cloud("sandbox-b"), {"name": "theirs"})
    PORT.put(site.cloud("sandbox-admin"), port, security_groups=[group])
    assert site.now(PORT, port)["security_groups"] == [group]
    site.saved_once(server)


def test_what_went_from_a_server_meanwhile_fails_nothing(site: Topology, server: Ref) -> None:
    data = volume_of(site, "data", bootable=False)
    attach(site, server, data)
    id = site.start_protect(server)
    SERVER.detach(site.cloud(), id=server.id, volume_id=data)
    site.until(lambda: SERVER.is_attached(site.cloud(), id=server.id, volume_id=data) is False)
    row = site.engine().run(id, site.cloud())
    assert row["status"] == "available", row["error_info"]
    site.restored(row["checkpoint_id"])


def test_verify_names_a_volume_without_which_the_server_cannot_come_back(site: Topology, server: Ref) -> None:
    checkpoint = site.saved_once(server)
    (manifest,) = (site.folder / "bank").rglob("manifest.json")
    document = json.loads(manifest.read_bytes())
    (saved,) = (each["saved"] for each in document["resources"] if each["id"] == server.id)
    saved["volumes"].append({"id": "gone", "root": False, "device": "/dev/vdb", "delete_on_termination": False})
    manifest.chmod(0o600)
    manifest.write_text(json.dumps(document))
    row = site.verify(checkpoint)
    assert row["status"] == "fail"
    assert "the checkpoint does not hold OS::Cinder::Volume gone; protect it again" in row["error_info"]
