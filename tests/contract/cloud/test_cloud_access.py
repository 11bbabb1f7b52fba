"""Logging in, tokens, services and microversions: what Karbor counts on before it asks for anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ground import Ground, Place, inventory, refused

from karbor.cloud.answers import error_of
from karbor.cloud.connection import Cloud
from karbor.model.errors import NotFound, Refused, Unauthorized

PATHS = {"compute": "/servers", "volume": "/volumes", "image": "/images", "network": "/networks"}


def clouds_file(folder: Path, cloud: Cloud, **auth: Any) -> Path:
    """The folder, with a clouds.yaml that has the cloud as `tested`, but for some of what it logs in with."""
    region = cloud._config
    entry = {"auth": {**region.config["auth"], **auth}, "region_name": region.region_name}
    (folder / "clouds.yaml").write_text(json.dumps({"clouds": {"tested": entry}}))
    return folder


def test_a_login_is_for_one_project(place: Place, tmp_path: Path) -> None:
    cloud = Cloud.connect("tested", state=clouds_file(tmp_path, place.cloud))
    assert (cloud.project_id, cloud.user_id) == (place.cloud.project_id, place.cloud.user_id)
    for wrong in ({"password": "wrong"}, {"username": "nobody"}, {"project_name": "nowhere"}):
        with pytest.raises(Unauthorized) as refusal:
            Cloud.connect("tested", state=clouds_file(tmp_path, place.cloud, **wrong))
        assert refusal.value.status == 401


def test_every_service_wants_a_good_token(ground: Ground) -> None:
    cloud = ground.cloud
    for service, path in PATHS.items():
        for headers in ({}, {"X-Auth-Token": "nonsense"}):
            answer = cloud.send("GET", service, path, authenticated=False, headers=headers)
            error = error_of(cloud, "GET", path, answer)
            assert (answer.status_code, type(error)) == (401, Unauthorized), service
            assert "<" not in str(error), "Glance says it in HTML"


def test_a_member_sees_no_other_project(ground: Ground) -> None:
    cloud = ground.cloud
    volume, own = ground.volume(), inventory(cloud)["volume"]
    everywhere = {each["id"] for each in cloud.pages("volume", "/volumes", "volumes", params={"all_tenants": 1})}
    assert volume in everywhere <= own, "what is asked for is not heard"
    with refused(403):
        cloud.get("compute", "/servers/detail", params={"all_tenants": 1})


def test_a_microversion_that_is_too_new_is_refused(ground: Ground) -> None:
    for service, path in (("volume", "/volumes"), ("compute", "/servers")):
        with refused(406, Refused):
            ground.cloud.get(service, path, microversion="3.999" if service == "volume" else "2.999")
    assert ground.cloud.microversion("compute") >= (2, 90), "the host name of a server"
    assert ground.cloud.microversion("volume") >= (3, 66), "snapshots of volumes in use"
    assert ground.cloud.microversion("network") == ground.cloud.microversion("image") == (0, 0)


def test_a_service_that_is_not_there_is_not_found(ground: Ground) -> None:
    assert all(ground.cloud.has(service) for service in PATHS)
    assert not ground.cloud.has("nothing-of-this-name")
    with pytest.raises(NotFound, match="nothing-of-this-name"):
        ground.cloud.get("nothing-of-this-name", "/")
