"""Images and their bytes: what their kinds and the transfers promise, on every cloud."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from ground import Ground, new_tag, refused

from karbor.cloud.images import IMAGE, image_id
from karbor.model.errors import Gone, NotNow, Refused
from karbor.plugins.image.facts import ImageFacts, image_body, image_facts

MIB = 1024 * 1024
BODY = {"name": "tested", "disk_format": "raw", "container_format": "bare"}


class Broken(Exception):
    """Something that reads the bytes failed."""


def test_an_image_is_its_tag(ground: Ground) -> None:
    tag, cloud = new_tag(), ground.cloud
    assert IMAGE.find(cloud, BODY, tag, None) == []
    id = ground.create(IMAGE, {**BODY, "os_distro": "x", "tags": ["t"]}, tag)
    assert id == image_id(tag)
    assert IMAGE.find(cloud, BODY, tag, None) == [id]
    assert IMAGE.is_active(cloud, id=id) is False
    with refused(409):
        ground.ask(IMAGE, BODY, tag)
    ground.remove(IMAGE, id)
    assert IMAGE.find(cloud, BODY, tag, None) == []
    with refused(409):
        ground.ask(IMAGE, BODY, tag)


def test_bytes_come_back_as_they_were_sent(ground: Ground) -> None:
    cloud = ground.cloud
    id = ground.create(IMAGE, BODY)
    pieces = [bytes([number]) * 700_001 for number in range(5)]
    cloud.upload(id, iter([pieces[0], b"", *pieces[1:]]))
    ground.until(lambda: IMAGE.is_active(cloud, id=id))
    chunks = list(cloud.download(id))
    assert b"".join(chunks) == b"".join(pieces)
    assert max(map(len, chunks)) >= MIB
    assert IMAGE.size(ground.now(IMAGE, id)) == 1
    with pytest.raises(Refused, match="active"):
        cloud.upload(id, iter([b"more"]))


def test_a_source_that_fails_leaves_nothing_and_the_image_can_be_sent_again(ground: Ground) -> None:
    cloud = ground.cloud
    id = ground.create(IMAGE, BODY)

    for failure in (Broken("the bank is away"), OSError("a disk failed")):

        def source(failure: Exception = failure) -> Iterator[bytes]:
            yield b"x" * MIB
            ground.until(lambda: ground.state(IMAGE, id) == "saving")
            raise failure

        with pytest.raises(type(failure), match=str(failure)):
            cloud.upload(id, source())
        ground.passes(IMAGE, id, "saving", "queued")
        assert ground.now(IMAGE, id)["size"] is None
    cloud.upload(id, iter([b"whole"]))
    ground.until(lambda: IMAGE.is_active(cloud, id=id))
    assert b"".join(cloud.download(id)) == b"whole"


def test_an_image_takes_bytes_once(ground: Ground) -> None:
    cloud = ground.cloud
    id = ground.create(IMAGE, BODY)
    path = f"/images/{id}/file"

    def send() -> int:
        headers = {"Content-Type": "application/octet-stream"}
        return cloud.send("PUT", "image", path, data=iter([b"other"]), headers=headers).status_code

    def source() -> Iterator[bytes]:
        yield b"x" * MIB
        ground.until(lambda: ground.state(IMAGE, id) == "saving")
        assert send() == 409
        with refused(409, NotNow, "saving"):
            cloud.upload(id, iter([b"other"]))

    cloud.upload(id, source())
    ground.passes(IMAGE, id, "saving", "active")
    assert send() == 409
    assert ground.now(IMAGE, id)["size"] == MIB


def test_glance_hashes_what_it_has(ground: Ground) -> None:
    cloud, data = ground.cloud, b"hashed" * 1000
    id = ground.image(data)
    image = ground.now(IMAGE, id)
    assert (image["size"], image["checksum"]) == (len(data), hashlib.md5(data).hexdigest())
    assert image["os_hash_value"] == hashlib.new(image["os_hash_algo"], data).hexdigest()
    part = cloud.send("GET", "image", f"/images/{id}/file", headers={"Range": "bytes=100-"})
    assert (part.status_code, part.content) == (206, data[100:]), "the rest of a download can be asked for"


def test_what_a_member_may_not_ask_of_an_image(ground: Ground) -> None:
    for body in ({"checksum": "0"}, {"size": 1}, {"os_glance_failed_import": "x"}, {"locations": []}):
        with refused(403):
            ground.ask(IMAGE, {**BODY, **body})
    for body in ({"visibility": "public"}, {"owner": "0" * 32}):
        with refused(403):
            ground.ask(IMAGE, {**BODY, **body})
    for body in ({"number": 1}, {"nothing": None}, {"disk_format": "odd"}, {"kernel_id": "odd"}):
        with refused(400):
            ground.ask(IMAGE, {**BODY, **body})


def test_what_is_read_of_an_image_can_be_written(ground: Ground) -> None:
    cloud = ground.cloud
    given = {
        "min_disk": 1,
        "min_ram": 32,
        "hw_disk_bus": "scsi",
        "owner_specified.openstack.md5": "x",
        "os_distro": "y",
        "image_type": "snapshot",
        "base_image_ref": "z",
        "odd/name~": "",
    }
    first = ground.image(b"bytes", **given, tags=["b", "a"])
    facts = image_facts(ground.now(IMAGE, first))
    assert facts["properties"] == {key: value for key, value in given.items() if key not in ("min_disk", "min_ram")}
    assert facts["visibility"] == "shared", "that is what an image is where nothing else was asked for"
    second = ground.create(IMAGE, image_body(ImageFacts(**facts), str(facts["name"])))
    cloud.upload(second, cloud.download(first))
    ground.until(lambda: IMAGE.is_active(cloud, id=second))
    IMAGE.update(cloud, id=second, changes={"tags": facts["tags"], "visibility": facts["visibility"]})
    again = image_facts(ground.now(IMAGE, second))
    assert {**again, "tags": sorted(again["tags"])} == {**facts, "tags": sorted(facts["tags"])}
    assert ground.now(IMAGE, first)["os_hash_value"] == ground.now(IMAGE, second)["os_hash_value"]


def test_an_image_without_bytes_has_none_to_give(ground: Ground) -> None:
    id = ground.create(IMAGE, BODY)
    with pytest.raises(Refused, match="queued"):
        list(ground.cloud.download(id))
    with pytest.raises(Gone):
        list(ground.cloud.download(image_id(new_tag())))


def test_attributes_are_set_changed_and_removed(ground: Ground) -> None:
    cloud = ground.cloud
    id = ground.create(IMAGE, {**BODY, "going": "away", "staying": "old"})
    changes = {
        "name": "renamed",
        "kernel_id": ground.create(IMAGE, BODY),
        "visibility": "community",
        "tags": ["a", "b"],
        "staying": "new",
        "odd/name~": "x",
        "going": None,
        "protected": True,
        "os_hidden": True,
    }
    IMAGE.update(cloud, id=id, changes=changes)
    image = ground.now(IMAGE, id)
    assert {key: image.get(key) for key in changes} == {**changes, "tags": image["tags"]}
    assert sorted(image["tags"]) == ["a", "b"]
    assert id in {image["id"] for image in IMAGE.list(cloud)}, "hidden ones are listed too"
    with refused(403):
        cloud.delete("image", f"/images/{id}")
    IMAGE.delete(cloud, id)
    assert IMAGE.get(cloud, id) is None, "a protected image is unprotected first"


def test_all_pages_are_read(ground: Ground) -> None:
    made = {ground.create(IMAGE, BODY) for _ in range(3)}
    found = ground.cloud.pages("image", "/images", "images", params={"limit": 1, "owner": ground.cloud.project_id})
    assert made <= {image["id"] for image in found}
