"""Servers of the sandbox: what a create takes and refuses, how they look, what can be done to them, how they go."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from typing import Any

import cloud_time
import pytest
from nova_calls import act, boot, call, fault, make_volume, refuse, show, states, try_boot
from openstack.connection import Connection

from karbor.sandbox import Sandbox


@pytest.fixture
def net(cloud: Connection) -> Any:
    network = cloud.network.create_network(name="net")
    cloud.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.0.0.0/24")
    return network


def test_a_server_with_everything_a_member_can_say(cloud: Connection) -> None:
    cloud.compute.create_keypair(name="key", public_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==")
    group = call(cloud, "POST", "/os-server-groups", {"server_group": {"name": "g", "policy": "affinity"}}).json()[
        "server_group"
    ]
    answer = try_boot(
        cloud,
        name="full",
        description="d",
        hostname="host",
        tags=["a", "b"],
        metadata={"k": "v"},
        key_name="key",
        config_drive=True,
        user_data=base64.b64encode(b"#!/bin/sh").decode(),
        availability_zone="nova",
        hints={"group": group["id"]},
    )
    assert set(answer.json()["server"]) == {"id", "links", "adminPass", "OS-DCF:diskConfig", "security_groups"}
    server = show(cloud, answer.json()["server"]["id"])
    expected = {
        "name": "full",
        "status": "ACTIVE",
        "description": "d",
        "OS-EXT-SRV-ATTR:hostname": "host",
        "tags": ["a", "b"],
        "metadata": {"k": "v"},
        "key_name": "key",
        "config_drive": "True",
        "OS-EXT-AZ:availability_zone": "nova",
        "locked": False,
        "server_groups": [group["id"]],
        "OS-EXT-STS:power_state": 1,
        "OS-EXT-STS:task_state": None,
        "OS-DCF:diskConfig": "MANUAL",
    }
    assert {name: server[name] for name in expected} == expected
    assert server["flavor"] == {
        "original_name": "m1.nano",
        "vcpus": 1,
        "ram": 96,
        "disk": 1,
        "ephemeral": 0,
        "swap": 0,
        "extra_specs": {},
    }


def test_what_is_shown_depends_on_microversion_and_role(cloud: Connection, admin: Connection) -> None:
    secret = base64.b64encode(b"secret").decode()
    id = boot(cloud, user_data=secret)
    assert show(cloud, id, "2.46")["flavor"]["id"] == "1"
    added = {"tags": "2.26", "locked": "2.9", "description": "2.19", "locked_reason": "2.73", "server_groups": "2.71"}
    for name, version in added.items():
        major, minor = version.split(".")
        assert name in show(cloud, id, version) and name not in show(cloud, id, f"{major}.{int(minor) - 1}")
    assert all(secret not in str(show(cloud, id, version)) for version in ("2.1", "2.3", "2.93"))
    assert show(admin, id)["OS-EXT-SRV-ATTR:user_data"] == secret
    assert "OS-EXT-SRV-ATTR:host" not in show(cloud, id)


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ({"networks": None}, 400),
        ({"flavorRef": "99"}, 400),
        ({"imageRef": "d7a4bb32-0000-0000-0000-000000000000"}, 400),
        ({"imageRef": None}, 400),
        ({"key_name": "none"}, 400),
        ({"availability_zone": "moon"}, 400),
        ({"availability_zone": "nova:host"}, 403),
        ({"tags": ["a,b"]}, 400),
        ({"tags": ["x" * 61]}, 400),
        ({"hostname": "a.b"}, 400),
        ({"metadata": {"k": "x" * 256}}, 400),
        ({"metadata": {str(n): "" for n in range(129)}}, 403),
        ({"user_data": "abc"}, 400),
        ({"personality": []}, 400),
        ({"hints": {"group": "none"}}, 400),
        ({"networks": [{"port": "none"}]}, 400),
        ({"networks": [{"uuid": "none"}]}, 400),
        ({"security_groups": [{"name": "none"}]}, 400),
        ({"version": "2.51", "tags": ["a"]}, 400),
    ],
)
def test_servers_that_are_refused(cloud: Connection, attributes: Any, status: int) -> None:
    assert try_boot(cloud, **attributes).status_code == status
    assert not list(cloud.compute.servers())


def test_build_as_it_is_seen(cloud: Connection, sandbox: Sandbox) -> None:
    cloud_time.hold(sandbox)
    id = boot(cloud, tags=["t"])
    assert [server.id for server in cloud.compute.servers(tags="t")] == [id]
    assert (act(cloud, id, "os-stop"), act(cloud, id, "lock")) == (404, 500)
    assert call(cloud, "PUT", f"/servers/{id}", {"server": {"name": "x"}}).status_code == 200
    assert call(cloud, "GET", f"/servers/{id}/tags").status_code == 404
    attach = {"volumeAttachment": {"volumeId": id}}
    assert call(cloud, "POST", f"/servers/{id}/os-volume_attachments", attach).status_code == 409
    look = partial(show, cloud, id)
    seen = states(sandbox, lambda: (look()["status"], look()["OS-EXT-STS:task_state"]), ("ACTIVE", None))
    assert seen == [("BUILD", "scheduling"), ("BUILD", "spawning"), ("ACTIVE", None)]


def test_ports_are_plugged_in_the_order_given(cloud: Connection, net: Any) -> None:
    given = [cloud.network.create_port(network_id=net.id, name=name) for name in "cab"]
    id = boot(
        cloud,
        networks=[{"port": given[0].id, "tag": "nic"}, {"port": given[1].id}, {"uuid": net.id}, {"port": given[2].id}],
    )
    ports = {port.id: port for port in cloud.network.ports(device_id=id)}
    [made] = [port for port in ports.values() if port.name == ""]
    assert {port.device_owner for port in ports.values()} == {"compute:nova"} and made.status == "ACTIVE"
    shown = [one["OS-EXT-IPS-MAC:mac_addr"] for one in show(cloud, id)["addresses"]["net"]]
    assert shown == [given[0].mac_address, given[1].mac_address, made.mac_address, given[2].mac_address]
    listed = call(cloud, "GET", f"/servers/{id}/os-interface").json()["interfaceAttachments"]
    assert {one["port_id"]: one["tag"] for one in listed}[given[0].id] == "nic"
    assert (
        refuse(
            cloud,
            "POST",
            "/servers",
            {
                "server": {
                    "name": "t",
                    "flavorRef": "1",
                    "imageRef": cloud.image.find_image("cirros").id,
                    "networks": [{"port": given[0].id}],
                }
            },
        )[0]
        == 409
    )
    cloud.compute.delete_server(id)
    left = {port.id: port for port in cloud.network.ports(network_id=net.id, device_owner="")}
    assert set(left) == {port.id for port in given} and all(port.status == "DOWN" for port in left.values())


def test_which_network_auto_means(cloud: Connection, net: Any) -> None:
    id = boot(cloud, networks="auto")
    assert len(show(cloud, id)["addresses"]["net"]) == 1
    twin = cloud.network.create_network(name="twin")
    cloud.network.create_subnet(network_id=twin.id, ip_version=4, cidr="10.0.1.0/24")
    assert try_boot(cloud, networks="auto").status_code == 409


def test_addresses_tell_floating_ips_and_follow_a_deleted_port(cloud: Connection, net: Any) -> None:
    public = cloud.network.find_network("public")
    router = cloud.network.create_router(external_gateway_info={"network_id": public.id})
    cloud.network.add_interface_to_router(router, subnet=next(cloud.network.subnets(network_id=net.id)))
    id = boot(cloud, networks=[{"uuid": net.id}])
    [port] = cloud.network.ports(device_id=id)
    floating = cloud.network.create_ip(floating_network_id=public.id, port_id=port.id)
    assert [(one["OS-EXT-IPS:type"], one["addr"]) for one in show(cloud, id)["addresses"]["net"]] == [
        ("fixed", port.fixed_ips[0]["ip_address"]),
        ("floating", floating.floating_ip_address),
    ]
    cloud.network.delete_port(port)
    assert show(cloud, id)["addresses"] == {}


def test_interfaces_afterwards(cloud: Connection, net: Any) -> None:
    id, path = boot(cloud), "/servers/{}/os-interface"
    port = cloud.network.create_port(network_id=net.id)
    body = {"interfaceAttachment": {"port_id": port.id}}
    assert call(cloud, "POST", path.format(id), body).json()["interfaceAttachment"]["mac_addr"] == port.mac_address
    assert refuse(cloud, "POST", path.format(id), body)[0] == 409
    made = call(cloud, "POST", path.format(id), {"interfaceAttachment": {"net_id": net.id}}).json()[
        "interfaceAttachment"
    ]
    for port_id in (port.id, made["port_id"]):
        assert call(cloud, "DELETE", f"{path.format(id)}/{port_id}").status_code == 202
    assert cloud.network.get_port(port.id).device_id == "" and cloud.network.find_port(made["port_id"]) is None


def test_power_and_what_is_refused_in_which_state(cloud: Connection, sandbox: Sandbox) -> None:
    id = boot(cloud)
    moves = [
        ("os-stop", "SHUTOFF"),
        ("os-start", "ACTIVE"),
        ("pause", "PAUSED"),
        ("unpause", "ACTIVE"),
        ("suspend", "SUSPENDED"),
        ("resume", "ACTIVE"),
    ]
    for name, status in moves:
        assert act(cloud, id, name) == 202
        assert show(cloud, id)["status"] == status
    assert refuse(cloud, "POST", f"/servers/{id}/action", {"os-start": None}) == (
        409,
        f"Cannot 'start' instance {id} while it is in vm_state active",
    )
    cloud_time.hold(sandbox)
    assert act(cloud, id, "os-stop") == 202
    assert show(cloud, id)["OS-EXT-STS:task_state"] == "powering-off" and act(cloud, id, "pause") == 409
    assert states(sandbox, lambda: show(cloud, id)["status"], "SHUTOFF") == ["ACTIVE", "SHUTOFF"]


def test_a_lock(cloud: Connection, admin: Connection) -> None:
    id = boot(cloud, metadata={"k": "v"})
    assert act(cloud, id, "lock", {"locked_reason": "why"}) == 202
    assert (show(cloud, id)["locked"], show(cloud, id)["locked_reason"]) == (True, "why")
    for method, path, body in (
        ("POST", "/action", {"os-stop": None}),
        ("DELETE", "", None),
        ("DELETE", "/metadata/k", None),
        ("POST", "/metadata", {"metadata": {"a": "b"}}),
    ):
        assert refuse(cloud, method, f"/servers/{id}{path}", body)[0] == 409
    for method, path, body in (
        ("PUT", "", {"server": {"name": "x"}}),
        ("PUT", "/tags/t", None),
        ("POST", "/action", {"createImage": {"name": "i"}}),
    ):
        assert call(cloud, method, f"/servers/{id}{path}", body).status_code in (200, 201, 202)
    assert act(cloud, id, "unlock") == 202
    assert act(admin, id, "lock") == 202
    assert act(cloud, id, "unlock") == 403


def test_metadata_and_tags(cloud: Connection) -> None:
    id = boot(cloud, metadata={"a": "1"}, tags=["x"])
    call(cloud, "POST", f"/servers/{id}/metadata", {"metadata": {"b": "2"}})
    call(cloud, "PUT", f"/servers/{id}/metadata/a", {"meta": {"a": "3"}})
    assert show(cloud, id)["metadata"] == {"a": "3", "b": "2"}
    call(cloud, "PUT", f"/servers/{id}/metadata", {"metadata": {"c": "4"}})
    call(cloud, "DELETE", f"/servers/{id}/metadata/c")
    assert show(cloud, id)["metadata"] == {}
    assert [call(cloud, "PUT", f"/servers/{id}/tags/y").status_code for _ in range(2)] == [201, 204]
    call(cloud, "DELETE", f"/servers/{id}/tags/x")
    assert show(cloud, id)["tags"] == ["y"]
    call(cloud, "PUT", f"/servers/{id}/tags", {"tags": ["z", "z"]})
    assert call(cloud, "GET", f"/servers/{id}/tags").json() == {"tags": ["z"]}


def test_deleted_is_seen_for_a_moment_and_then_only_among_changes(cloud: Connection, sandbox: Sandbox) -> None:
    id = boot(cloud)
    cloud_time.hold(sandbox)
    assert call(cloud, "DELETE", f"/servers/{id}").status_code == 204

    def look() -> str:
        answer = call(cloud, "GET", f"/servers/{id}")
        return str(answer.json()["server"]["status"]) if answer.status_code == 200 else "404"

    assert states(sandbox, look, "404") == ["ACTIVE", "DELETED", "404"]
    assert not list(cloud.compute.servers())
    [changed] = call(cloud, "GET", "/servers/detail?changes-since=2020-01-01T00:00:00Z").json()["servers"]
    assert (changed["id"], changed["status"]) == (id, "DELETED")
    assert call(cloud, "GET", "/servers?deleted=True").json()["servers"] == []


def test_no_valid_host_keeps_the_volumes_until_the_server_goes(cloud: Connection, sandbox: Sandbox, net: Any) -> None:
    kept, doomed = make_volume(cloud), make_volume(cloud)
    port = cloud.network.create_port(network_id=net.id)
    image = cloud.image.find_image("cirros").id
    mapping = [{"boot_index": 0, "uuid": image, "source_type": "image", "destination_type": "local"}] + [
        {"uuid": one.id, "source_type": "volume", "destination_type": "volume", "delete_on_termination": one is doomed}
        for one in (kept, doomed)
    ]
    fault(sandbox, service="compute", method="POST", path="/servers", action="late_error")
    id = boot(cloud, networks=[{"port": port.id}], block_device_mapping_v2=mapping, tags=["t"], metadata={"a": "b"})
    server = show(cloud, id)
    assert (server["status"], server["tags"], server["metadata"]) == ("ERROR", ["t"], {"a": "b"})
    assert "No valid host was found" in server["fault"]["message"]
    assert (
        cloud.block_storage.get_volume(kept.id).status == "reserved" and cloud.network.get_port(port.id).device_id == ""
    )
    assert cloud.block_storage.delete(f"/volumes/{kept.id}").status_code == 400
    cloud.compute.delete_server(id)
    assert {one.id: one.status for one in cloud.block_storage.volumes()} == {kept.id: "available"}


def test_an_image_for_another_machine_finds_no_host(cloud: Connection) -> None:
    image = cloud.image.create_image(
        name="odd", disk_format="raw", container_format="bare", data=b"x", hw_architecture="sparc"
    )
    server = show(cloud, boot(cloud, imageRef=image.id))
    assert (server["status"], server["fault"]["message"]) == ("ERROR", "No valid host was found. ")


def test_a_late_failure_frees_ports_and_volumes_by_itself(cloud: Connection, sandbox: Sandbox, net: Any) -> None:
    image = cloud.image.create_image(name="broken", disk_format="qcow2", container_format="bare", data=b"no qcow2")
    volume, port = make_volume(cloud), cloud.network.create_port(network_id=net.id)
    mapping = [
        {"boot_index": 0, "uuid": image.id, "source_type": "image", "destination_type": "local"},
        {"uuid": volume.id, "source_type": "volume", "destination_type": "volume"},
    ]
    server = show(cloud, boot(cloud, imageRef=image.id, networks=[{"port": port.id}], block_device_mapping_v2=mapping))
    assert server["status"] == "ERROR" and "unacceptable" in server["fault"]["message"]
    assert cloud.network.get_port(port.id).device_id == ""
    assert cloud.block_storage.get_volume(volume.id).status == "available"
    cloud_time.hold(sandbox)
    mapping[0]["uuid"] = cloud.image.find_image("cirros").id
    boot(cloud, block_device_mapping_v2=mapping)
    cloud.compute.delete_server(server["id"])
    seen = states(sandbox, lambda: cloud.block_storage.get_volume(volume.id).status, "in-use")
    assert seen == ["reserved", "in-use"], "the failed server's end must not take the volume from its new owner"


def test_a_stuck_build_can_be_deleted(cloud: Connection, sandbox: Sandbox) -> None:
    fault(sandbox, service="compute", method="POST", path="/servers", action="stuck")
    id = boot(cloud)
    assert show(cloud, id)["status"] == "BUILD"
    assert call(cloud, "DELETE", f"/servers/{id}").status_code == 204
    assert call(cloud, "GET", f"/servers/{id}").status_code == 404


def test_servers_survive_a_restart_in_the_middle_of_a_build(
    connect: Callable[..., Connection], sandbox: Sandbox
) -> None:
    cloud_time.hold(sandbox)
    id = boot(connect())
    sandbox.stop()
    sandbox.start()
    again = connect()
    assert states(sandbox, lambda: show(again, id)["status"], "ACTIVE") == ["BUILD", "ACTIVE"]
