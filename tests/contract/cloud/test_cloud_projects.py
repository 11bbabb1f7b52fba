"""Two projects of one cloud: what one has is not there for the other, whatever it asks for."""

from __future__ import annotations

from typing import Any

import pytest
from ground import KEY, Ground, new_tag, outcome, refused

from karbor.cloud.blockstorage import SNAPSHOT, VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.images import IMAGE
from karbor.cloud.networks import FLOATING_IP, NETWORK, PORT, ROUTER, SECURITY_GROUP, SUBNET
from karbor.cloud.rest import RestKind
from karbor.cloud.servers import KEYPAIR, SERVER, SERVER_GROUP
from karbor.model.errors import Gone

BODY = {"name": "tested", "disk_format": "raw", "container_format": "bare"}


@pytest.fixture(scope="module")
def ours(shared: Ground) -> dict[RestKind, str]:
    """One of each kind."""
    network, subnet = shared.network()
    volume = shared.volume()
    bodies: list[tuple[RestKind, dict[str, Any]]] = [
        (SNAPSHOT, {"volume_id": volume}),
        (IMAGE, {**BODY, "visibility": "private"}),
        (PORT, {"network_id": network}),
        (ROUTER, {"name": "tested"}),
        (FLOATING_IP, {"floating_network_id": shared.external()}),
        (SECURITY_GROUP, {"name": "tested"}),
        (KEYPAIR, {"name": f"tested {new_tag()}", "public_key": KEY, "type": "ssh"}),
        (SERVER_GROUP, {"name": "tested", "policy": "affinity"}),
        (SERVER, shared.server_body()),
    ]
    made = {kind: shared.create(kind, body) for kind, body in bodies}
    return {NETWORK: network, SUBNET: subnet, VOLUME: volume, **made}


def test_what_is_another_projects_is_not_there(ground: Ground, ours: dict[RestKind, str], other: Cloud) -> None:
    assert other.project_id != ground.cloud.project_id
    for kind, id in ours.items():
        assert kind.get(other, id) is None, kind.name
        assert id not in str(list(other.pages(kind.service, kind.path, kind.plural))), kind.name
        kind.delete(other, id)
        assert kind.get(ground.cloud, id) is not None, f"deleting another project's {kind.name} is a 404"


def test_what_is_another_projects_cannot_be_changed(ours: dict[RestKind, str], other: Cloud) -> None:
    with refused(404, Gone):
        VOLUME.extend(other, id=ours[VOLUME], size=2)
    with refused(404, Gone):
        SERVER.action(other, ours[SERVER], "os-stop")
    with refused(404, Gone):
        PORT.update(other, id=ours[PORT], name="theirs")
    with refused(404, Gone):
        IMAGE.update(other, id=ours[IMAGE], changes={"name": "theirs"})


def test_an_image_id_is_taken_for_everybody(ours: dict[RestKind, str], other: Cloud) -> None:
    answer = outcome(lambda: other.post("image", "/images", {**BODY, "id": ours[IMAGE]}))
    assert answer.status == 409


def test_a_community_image_is_seen_by_all_and_owned_by_one(ground: Ground, other: Cloud) -> None:
    image = ground.create(IMAGE, {**BODY, "visibility": "community"})
    seen = IMAGE.get(other, image)
    assert seen is not None
    assert not IMAGE.owned(other, seen)
    assert IMAGE.find(other, BODY, "karbor-" + image.replace("-", ""), None) == [image]
    with refused(403):
        IMAGE.delete(other, image)
    assert image not in {obj["id"] for obj in other.pages("image", "/images", "images")}


def test_a_shared_image_has_members_who_see_it(ground: Ground, other: Cloud) -> None:
    image = ground.create(IMAGE, BODY)
    assert IMAGE.get(other, image) is None, "shared with nobody yet"
    ground.cloud.post("image", f"/images/{image}/members", {"member": other.project_id})
    members = ground.cloud.get("image", f"/images/{image}/members")["members"]
    assert [(each["member_id"], each["status"]) for each in members] == [(other.project_id, "pending")]
    assert IMAGE.get(other, image) is not None
