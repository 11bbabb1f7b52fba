"""Disks of the sandbox's servers: block device mappings, attachments, and the images that `createImage` makes."""

from __future__ import annotations

import json
import uuid
from typing import Any

import cloud_time
import pytest
from nova_calls import act, boot, call, make_volume, refuse, show, states, try_boot, volume_root
from openstack.connection import Connection

from karbor.sandbox import Sandbox


def bootable(cloud: Connection, **more: Any) -> Any:
    return make_volume(cloud, image_id=cloud.image.find_image("cirros").id, **more)


def attachments(cloud: Connection, id: str, version: str = "2.93") -> list[dict[str, Any]]:
    return list(call(cloud, "GET", f"/servers/{id}/os-volume_attachments", version=version).json()["volumeAttachments"])


def attach(cloud: Connection, id: str, volume_id: str, **more: Any) -> Any:
    body = {"volumeAttachment": {"volumeId": volume_id, **more}}
    return call(cloud, "POST", f"/servers/{id}/os-volume_attachments", body)


def test_volumes_in_one_list_are_attached_in_its_order(cloud: Connection) -> None:
    root, *data = bootable(cloud), *(make_volume(cloud) for _ in range(3))
    mapping = [volume_root(root.id, tag="root")] + [
        {
            "uuid": one.id,
            "source_type": "volume",
            "destination_type": "volume",
            "boot_index": -1,
            "tag": f"d{place}",
            "delete_on_termination": place == 1,
        }
        for place, one in enumerate(data)
    ]
    id = boot(cloud, imageRef=None, block_device_mapping_v2=mapping)
    server = show(cloud, id)
    assert (server["status"], server["image"]) == ("ACTIVE", "")
    assert [
        (one["volumeId"], one["device"], one["tag"], one["delete_on_termination"]) for one in attachments(cloud, id)
    ] == [
        (root.id, "/dev/vda", "root", False),
        (data[0].id, "/dev/vdb", "d0", False),
        (data[1].id, "/dev/vdc", "d1", True),
        (data[2].id, "/dev/vdd", "d2", False),
    ]
    held = cloud.block_storage.get_volume(data[0].id)
    assert (held.status, held.attachments[0]["server_id"]) == ("in-use", id)
    cloud.compute.delete_server(id)
    assert {one.id: one.status for one in cloud.block_storage.volumes()} == dict.fromkeys(
        [root.id, data[0].id, data[2].id], "available"
    )


def test_what_an_attachment_shows_depends_on_the_microversion(cloud: Connection) -> None:
    volume, id = make_volume(cloud), boot(cloud)
    attach(cloud, id, volume.id, tag="t", delete_on_termination=True)
    keys = {version: set(attachments(cloud, id, version)[0]) for version in ("2.1", "2.70", "2.79", "2.89")}
    assert keys == {
        "2.1": {"id", "volumeId", "serverId", "device"},
        "2.70": keys["2.1"] | {"tag"},
        "2.79": keys["2.70"] | {"delete_on_termination"},
        "2.89": keys["2.79"] - {"id"} | {"attachment_id", "bdm_uuid"},
    }


@pytest.mark.parametrize(
    "case", ["data beside an image", "no root", "not bootable", "in use", "twice", "blank without size"]
)
def test_mappings_that_are_refused(cloud: Connection, case: str) -> None:
    plain, used = make_volume(cloud), make_volume(cloud)
    attach(cloud, boot(cloud), used.id)
    data = {"uuid": plain.id, "source_type": "volume", "destination_type": "volume"}
    image = {
        "boot_index": 0,
        "uuid": cloud.image.find_image("cirros").id,
        "source_type": "image",
        "destination_type": "local",
    }
    asked: dict[str, Any] = {
        "data beside an image": {"block_device_mapping_v2": [data]},
        "no root": {"imageRef": None, "block_device_mapping_v2": [data]},
        "not bootable": {"imageRef": None, "block_device_mapping_v2": [volume_root(plain.id)]},
        "in use": {"block_device_mapping_v2": [image, {**data, "uuid": used.id}]},
        "twice": {"block_device_mapping_v2": [image, data, data]},
        "blank without size": {
            "block_device_mapping_v2": [image, {"source_type": "blank", "destination_type": "volume"}]
        },
    }[case]
    assert try_boot(cloud, **asked).status_code == 400
    assert cloud.block_storage.get_volume(plain.id).status == "available"


def test_volumes_that_nova_makes(cloud: Connection) -> None:
    image = cloud.image.find_image("cirros").id
    mapping = [
        {"boot_index": 0, "uuid": image, "source_type": "image", "destination_type": "volume", "volume_size": 1},
        {"source_type": "blank", "destination_type": "volume", "volume_size": 2, "volume_type": "fast"},
    ]
    id = boot(cloud, imageRef=None, block_device_mapping_v2=mapping)
    assert show(cloud, id)["status"] == "ACTIVE"
    root, blank = (cloud.block_storage.get_volume(one["volumeId"]) for one in attachments(cloud, id))
    assert (root.name, root.is_bootable, root.status, blank.size, blank.volume_type) == ("", True, "in-use", 2, "fast")


def test_attaching_as_it_is_seen(cloud: Connection, sandbox: Sandbox) -> None:
    volume, id = make_volume(cloud), boot(cloud)
    cloud_time.hold(sandbox)
    answer = attach(cloud, id, volume.id, device="/dev/vdz")
    assert (answer.status_code, answer.json()["volumeAttachment"]["device"]) == (200, "/dev/vdb")

    def status() -> str:
        return str(cloud.block_storage.get_volume(volume.id).status)

    assert states(sandbox, status, "in-use") == ["reserved", "attaching", "in-use"]
    assert attach(cloud, id, volume.id).status_code == 400
    assert call(cloud, "DELETE", f"/servers/{id}/os-volume_attachments/{volume.id}").status_code == 202
    assert states(sandbox, status, "available") == ["detaching", "available"]
    assert attachments(cloud, id) == []


def test_attachments_that_are_refused(cloud: Connection) -> None:
    root, volume = bootable(cloud), make_volume(cloud)
    id = boot(cloud, imageRef=None, block_device_mapping_v2=[volume_root(root.id)])
    path = f"/servers/{id}/os-volume_attachments"
    assert attach(cloud, id, str(uuid.uuid4())).status_code == 404
    assert refuse(cloud, "DELETE", f"{path}/{root.id}")[0] == 400
    assert refuse(cloud, "DELETE", f"{path}/{volume.id}")[0] == 404
    cloud.block_storage.create_backup(volume_id=root.id, force=True)
    assert attach(cloud, id, volume.id).status_code == 200


def test_delete_on_termination_is_changed_from_2_85_on(cloud: Connection) -> None:
    volume, id = make_volume(cloud), boot(cloud)
    attach(cloud, id, volume.id)
    path, body = (
        f"/servers/{id}/os-volume_attachments/{volume.id}",
        {"volumeAttachment": {"volumeId": volume.id, "delete_on_termination": True}},
    )
    assert call(cloud, "PUT", path, body, "2.84").status_code == 400
    assert call(cloud, "PUT", path, body).status_code == 202
    cloud.compute.delete_server(id)
    assert not list(cloud.block_storage.volumes())


def test_an_image_of_the_own_disk_has_its_bytes_and_properties(cloud: Connection) -> None:
    data = bytes(range(256)) * 64
    base = cloud.image.create_image(
        name="base", disk_format="raw", container_format="bare", data=data, hw_firmware_type="uefi"
    )
    id = boot(cloud, imageRef=base.id)
    answer = call(cloud, "POST", f"/servers/{id}/action", {"createImage": {"name": "snap", "metadata": {"mark": "m"}}})
    image = cloud.image.get(f"/images/{answer.json()['image_id']}").json()
    assert (image["status"], image["visibility"], image["size"], image["disk_format"], image["min_disk"]) == (
        "active",
        "private",
        len(data),
        "raw",
        1,
    )
    assert (
        image["mark"],
        image["hw_firmware_type"],
        image["image_type"],
        image["instance_uuid"],
        image["base_image_ref"],
    ) == ("m", "uefi", "snapshot", id, base.id)
    assert cloud.image.get(f"/images/{image['id']}/file").content == data
    assert [one["id"] for one in cloud.image.get("/images?mark=m").json()["images"]] == [image["id"]]
    copy = boot(cloud, imageRef=image["id"])
    assert show(cloud, copy)["status"] == "ACTIVE"


def test_an_image_of_a_server_as_it_is_seen(cloud: Connection, sandbox: Sandbox) -> None:
    id, body = boot(cloud), {"createImage": {"name": "snap"}}
    cloud_time.hold(sandbox)
    image = call(cloud, "POST", f"/servers/{id}/action", body).json()["image_id"]
    assert refuse(cloud, "POST", f"/servers/{id}/action", body)[0] == 409 and act(cloud, id, "os-stop") == 409

    def look() -> tuple[str, str]:
        return show(cloud, id)["OS-EXT-STS:task_state"], str(cloud.image.get_image(image).status)

    seen = states(sandbox, look, (None, "active"))
    assert seen == [("image_snapshot_pending", "queued"), ("image_uploading", "queued"), (None, "active")]


@pytest.mark.parametrize("gone", ["image", "server"])
def test_image_or_server_deleted_during_it(cloud: Connection, sandbox: Sandbox, gone: str) -> None:
    id = boot(cloud)
    cloud_time.hold(sandbox)
    image = call(cloud, "POST", f"/servers/{id}/action", {"createImage": {"name": "snap"}}).json()["image_id"]
    if gone == "image":
        cloud.image.delete_image(image)
        assert states(sandbox, lambda: show(cloud, id)["OS-EXT-STS:task_state"], None)[-1] is None
    else:
        cloud.compute.delete_server(id)
        assert states(sandbox, lambda: cloud.image.find_image(image) is None, True)[-1]
    assert cloud.image.find_image(image) is None


def test_suspended_servers_say_so_in_their_image(cloud: Connection) -> None:
    id = boot(cloud)
    act(cloud, id, "suspend")
    image = call(cloud, "POST", f"/servers/{id}/action", {"createImage": {"name": "snap"}}, "2.44")
    properties = cloud.image.get(image.headers["Location"].partition("/image/v2")[2]).json()
    assert properties["old_vm_state"] == "active" and show(cloud, id)["status"] == "SUSPENDED"


def test_an_image_of_volumes_is_empty_and_too_early(cloud: Connection, sandbox: Sandbox) -> None:
    root, data = bootable(cloud), make_volume(cloud)
    mapping = [volume_root(root.id), {"uuid": data.id, "source_type": "volume", "destination_type": "volume"}]
    id = boot(cloud, imageRef=None, block_device_mapping_v2=mapping)
    cloud_time.hold(sandbox)
    made = [
        call(cloud, "POST", f"/servers/{id}/action", {"createImage": {"name": "snap"}}).json()["image_id"]
        for _ in range(2)
    ]
    image = cloud.image.get(f"/images/{made[0]}").json()
    assert (image["status"], image["size"], cloud.image.get(f"/images/{image['id']}/file").content) == (
        "active",
        0,
        b"",
    )
    entries = json.loads(image["block_device_mapping"])
    snapshots = {one.id: one for one in cloud.block_storage.snapshots()}
    assert len(snapshots) == 4 and {one.name for one in snapshots.values()} == {"snapshot for snap"}
    assert [(one["boot_index"], one["volume_size"], one["volume_type"]) for one in entries] == [
        (0, 1, None),
        (None, 1, None),
    ]
    early = boot(cloud, imageRef=made[0])
    assert states(sandbox, lambda: show(cloud, early)["status"], "ERROR")[-1] == "ERROR"
    states(sandbox, lambda: {one.status for one in cloud.block_storage.snapshots()}, {"available"})
    late = boot(cloud, imageRef=made[0])
    states(sandbox, lambda: show(cloud, late)["status"], "ACTIVE")
    cloud.image.delete_image(made[0])
    cloud.compute.delete_server(late)
    states(sandbox, lambda: cloud.compute.find_server(late) is None, True)
    assert len(list(cloud.block_storage.snapshots())) == 4 and len(list(cloud.block_storage.volumes())) == 4


def test_a_server_deleted_while_its_volume_is_backed_up_leaves_it_in_use(cloud: Connection, sandbox: Sandbox) -> None:
    volume, id = make_volume(cloud), boot(cloud)
    attach(cloud, id, volume.id)
    cloud_time.hold(sandbox)
    backup = cloud.block_storage.create_backup(volume_id=volume.id, force=True)
    sandbox.state.delay = 0.0  # the backup goes on waiting
    cloud.compute.delete_server(id)
    states(sandbox, lambda: cloud.block_storage.get_backup(backup.id).status, "available")
    left = cloud.block_storage.get_volume(volume.id)
    assert (left.status, left.attachments) == ("in-use", [])
    assert cloud.block_storage.post(f"/volumes/{volume.id}/action", json={"os-detach": {}}).status_code == 202
    assert cloud.block_storage.get_volume(volume.id).status == "available"
