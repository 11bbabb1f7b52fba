"""Around the sandbox's servers: lists and filters, flavors, key pairs, server groups, quotas, the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from nova_calls import act, boot, call, refuse, show, try_boot
from openstack.connection import Connection

from karbor.sandbox import Sandbox

COMMAND = Path(sys.executable).with_name("openstack")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g me"


def found(cloud: Connection, query: str, version: str = "2.93") -> set[str]:
    return {server["name"] for server in call(cloud, "GET", f"/servers?{query}", version=version).json()["servers"]}


def test_filters_that_work_that_do_nothing_and_that_are_refused(cloud: Connection, admin: Connection) -> None:
    a = boot(cloud, name="full", tags=["x"], metadata={"k": "v"}, hostname="one")
    b = boot(cloud, name="other", tags=["x", "y"], hostname="two")
    act(cloud, b, "os-stop")
    image = cloud.image.find_image("cirros").id
    both = {"full", "other"}
    for query, expected in {
        "name=ful": {"full"},
        "tags=x,y": {"other"},
        "tags=x": both,
        "not-tags=y": {"full"},
        "tags-any=y,q": {"other"},
        "status=SHUTOFF": {"other"},
        f"image={image}": both,
        "flavor=2": set(),
        "hostname=one": {"full"},
        "vm_state=active": {"full"},
        "changes-since=2999-01-01T00:00:00Z": set(),
        "metadata={}": both,
        "uuid=none": both,
        "description=none": both,
        "host=none": both,
        "project_id=none": both,
    }.items():
        assert found(cloud, query) == expected, query
    assert found(cloud, "hostname=one", "2.60") == both
    assert refuse(cloud, "GET", "/servers?nonsense=1")[0] == refuse(cloud, "GET", "/servers?status=FOO")[0] == 400
    assert refuse(cloud, "GET", "/servers?all_tenants=1")[0] == 403
    assert found(admin, f"all_tenants=1&uuid={a}") == {"full"}


def test_lists_come_newest_first_and_in_pages(cloud: Connection, other: Connection) -> None:
    for number in range(3):
        boot(cloud, name=f"s{number}")
    boot(other, name="foreign")
    assert [server.name for server in cloud.compute.servers(limit=2)] == ["s2", "s1", "s0"]
    assert refuse(cloud, "GET", "/servers?marker=none")[0] == 400
    assert [
        one["name"] for one in call(cloud, "GET", "/servers?sort_key=display_name&sort_dir=asc").json()["servers"]
    ] == ["s0", "s1", "s2"]


def test_servers_of_others_are_not_there(cloud: Connection, other: Connection) -> None:
    id = boot(cloud)
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/os-interface"), ("GET", "/metadata"), ("GET", "/tags")):
        assert refuse(other, method, f"/servers/{id}{path}")[0] == 404


def test_a_flavor_may_be_gone_while_its_server_runs(cloud: Connection, admin: Connection) -> None:
    assert {flavor.name: (flavor.ram, flavor.vcpus, flavor.disk) for flavor in cloud.compute.flavors()} == {
        "m1.nano": (96, 1, 1),
        "m1.tiny": (512, 1, 1),
        "m1.small": (2048, 2, 20),
    }
    flavor = admin.compute.create_flavor(name="own", ram=64, vcpus=1, disk=0, ephemeral=1, swap=8)
    admin.compute.create_flavor_extra_specs(flavor, {"hw:cpu_policy": "dedicated"})
    id = boot(cloud, flavorRef=flavor.id)
    admin.compute.delete_flavor(flavor)
    assert show(cloud, id)["flavor"] == {
        "original_name": "own",
        "vcpus": 1,
        "ram": 64,
        "disk": 0,
        "ephemeral": 1,
        "swap": 8,
        "extra_specs": {"hw:cpu_policy": "dedicated"},
    }
    assert try_boot(cloud, flavorRef=flavor.id).status_code == 400
    assert refuse(cloud, "POST", "/flavors", {"flavor": {"name": "x", "ram": 1, "vcpus": 1, "disk": 1}})[0] == 403


def test_an_image_larger_than_the_flavor_is_refused(cloud: Connection) -> None:
    image = cloud.image.create_image(name="large", disk_format="raw", container_format="bare", min_disk=5, data=b"x")
    assert try_boot(cloud, imageRef=image.id).status_code == 400
    assert try_boot(cloud, imageRef=image.id, flavorRef="3").status_code == 202


def test_key_pairs_are_their_users(cloud: Connection, other: Connection, admin: Connection) -> None:
    made = cloud.compute.create_keypair(name="key", public_key=KEY)
    assert (made.fingerprint, made.type, made.private_key) == (
        "05:6d:11:6f:aa:82:7f:17:e4:a2:92:09:ca:cf:9d:42",
        "ssh",
        None,
    )
    body = {"keypair": {"name": "key", "public_key": KEY}}
    assert refuse(cloud, "POST", "/os-keypairs", body)[0] == 409
    assert refuse(other, "GET", "/os-keypairs/key")[0] == 404
    assert refuse(cloud, "POST", "/os-keypairs", {"keypair": {"name": "new"}})[0] == 400
    assert call(cloud, "POST", "/os-keypairs", {"keypair": {"name": "new"}}, "2.91").json()["keypair"]["private_key"]
    assert refuse(cloud, "POST", "/os-keypairs", {"keypair": {"name": "a", "public_key": "nonsense"}})[0] == 400
    user = cloud.current_user_id
    assert len(call(admin, "GET", f"/os-keypairs?user_id={user}").json()["keypairs"]) == 2
    id = boot(cloud, key_name="key")
    cloud.compute.delete_keypair("key")
    assert show(cloud, id)["key_name"] == "key"


@pytest.mark.parametrize(
    ("policy", "rules", "fitting"), [("anti-affinity", {}, 8), ("anti-affinity", {"max_server_per_host": 2}, 16)]
)
def test_anti_affinity_runs_out_of_hosts(cloud: Connection, policy: str, rules: dict[str, int], fitting: int) -> None:
    body = {"server_group": {"name": "g", "policy": policy, "rules": rules}}
    group = call(cloud, "POST", "/os-server-groups", body).json()["server_group"]
    statuses = [show(cloud, boot(cloud, hints={"group": group["id"]}))["status"] for _ in range(fitting + 1)]
    assert statuses == ["ACTIVE"] * fitting + ["ERROR"]
    assert len(call(cloud, "GET", f"/os-server-groups/{group['id']}").json()["server_group"]["members"]) == fitting + 1


def test_server_groups(cloud: Connection) -> None:
    old = call(cloud, "POST", "/os-server-groups", {"server_group": {"name": "g", "policies": ["affinity"]}}, "2.63")
    assert old.json()["server_group"]["policies"] == ["affinity"]
    body: dict[str, Any] = {"name": "g", "policy": "affinity"}
    new = call(cloud, "POST", "/os-server-groups", {"server_group": body}).json()["server_group"]
    assert (new["policy"], new["rules"], new["project_id"]) == ("affinity", {}, cloud.current_project_id)
    assert (
        refuse(cloud, "POST", "/os-server-groups", {"server_group": {**body, "rules": {"max_server_per_host": 2}}})[0]
        == 400
    )
    assert len(call(cloud, "GET", "/os-server-groups?name=none", version="2.64").json()["server_groups"]) == 2
    assert refuse(cloud, "GET", "/os-server-groups?name=none")[0] == 400
    id = boot(cloud, hints={"group": new["id"]})
    assert show(cloud, id)["server_groups"] == [new["id"]]
    assert call(cloud, "DELETE", f"/os-server-groups/{new['id']}").status_code == 204
    assert show(cloud, id)["server_groups"] == []


def test_quotas_are_told_and_kept(cloud: Connection, admin: Connection) -> None:
    project = cloud.current_project_id
    assert refuse(cloud, "PUT", f"/os-quota-sets/{project}", {"quota_set": {"instances": 9}})[0] == 403
    assert try_boot(cloud, min_count=2).status_code == 400, "this cloud makes one server a request"
    limits = {"instances": 1, "ram": 600, "key_pairs": 0, "server_groups": 0}
    assert call(admin, "PUT", f"/os-quota-sets/{project}", {"quota_set": limits}).status_code == 200
    assert try_boot(cloud, min_count=2).status_code == 403, "counted before anything is made"
    boot(cloud)
    status, message = refuse(
        cloud,
        "POST",
        "/servers",
        {
            "server": {
                "name": "s",
                "flavorRef": "2",
                "imageRef": cloud.image.find_image("cirros").id,
                "networks": "none",
            }
        },
    )
    assert status == 403 and "Quota exceeded for instances, ram" in message
    assert refuse(cloud, "POST", "/os-keypairs", {"keypair": {"name": "k", "public_key": KEY}})[0] == 403
    assert refuse(cloud, "POST", "/os-server-groups", {"server_group": {"name": "g", "policy": "affinity"}})[0] == 403
    absolute = cloud.compute.get_limits().absolute
    assert (absolute.instances, absolute.instances_used, absolute.total_ram_used) == (1, 1, 96)


def test_zones(cloud: Connection) -> None:
    assert [zone.name for zone in cloud.compute.availability_zones()] == ["nova"]


@pytest.mark.skipif(not COMMAND.exists(), reason="python-openstackclient is not installed")
@pytest.mark.parametrize(
    "words", ["server list", "network list", "volume list", "flavor list", "keypair list", "server group list"]
)
def test_the_openstack_command(cloud: Connection, sandbox: Sandbox, words: str) -> None:
    boot(cloud, name="seen")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(sandbox.folder),
        "OS_CLIENT_CONFIG_FILE": str(sandbox.clouds_file),
    }
    told = subprocess.run(
        [str(COMMAND), "--os-cloud", "sandbox", *words.split()],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert {"server list": "seen", "network list": "public"}.get(words, "") in told.stdout
