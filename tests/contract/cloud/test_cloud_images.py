"""Images and their bytes: what their kinds and the transfers promise, on every cloud."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ground import Ground, new_tag

from karbor.cloud.images import IMAGE, image_id
from karbor.model.errors import Gone, Refused

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
    with pytest.raises(Refused):
        IMAGE.create(cloud, BODY, tag)
    ground.remove(IMAGE, id)
    assert IMAGE.find(cloud, BODY, tag, None) == []
    with pytest.raises(Refused) as burnt:
        IMAGE.create(cloud, BODY, tag)
    assert burnt.value.status == 409


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
            raise failure

        with pytest.raises(type(failure), match=str(failure)):
            cloud.upload(id, source())
        ground.until(lambda: ground.now(IMAGE, id)["status"] == "queued")
    cloud.upload(id, iter([b"whole"]))
    ground.until(lambda: IMAGE.is_active(cloud, id=id))
    assert b"".join(cloud.download(id)) == b"whole"


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
    IMAGE.delete(cloud, id)
    assert IMAGE.get(cloud, id) is None, "a protected image is unprotected first"


def test_all_pages_are_read(ground: Ground) -> None:
    made = {ground.create(IMAGE, BODY) for _ in range(3)}
    found = ground.cloud.pages("image", "/images", "images", params={"limit": 1, "owner": ground.cloud.project_id})
    assert made <= {image["id"] for image in found}
