"""Quotas: how each service says that one is full, and that nothing is made then, on every cloud."""

from __future__ import annotations

from functools import partial

import pytest
from ground import Ground, nothing_made, refused

from karbor.cloud.blockstorage import SNAPSHOT, VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.servers import SERVER
from karbor.model.errors import OverQuota

FEW = 500
"""How many things one request may ask for."""


def one_too_many(ground: Ground, quota: str) -> int:
    """One more than what is left of a quota; skips where there is no limit, or one too large to run into."""
    left = ground.cloud.quota_left()[quota]
    if left is None or left >= FEW:
        pytest.skip(f"the project may have {'any number of' if left is None else left} more {quota}")
    return left + 1


def add_up(cloud: Cloud) -> bool:
    """Whether what is left and what is there are the limits of Cinder, which they are a moment after each change."""
    limits = cloud.get("volume", "/limits")["limits"]["absolute"]
    left, there = cloud.quota_left(), list(VOLUME.list(cloud))
    size = sum(obj["size"] for obj in (*there, *SNAPSHOT.list(cloud)))
    used = {"volumes": ("maxTotalVolumes", len(there)), "gigabytes": ("maxTotalVolumeGigabytes", size)}
    return all(
        left[quota] == (limits[limit] - number if limits[limit] >= 0 else None)
        for quota, (limit, number) in used.items()
    )


def test_quotas_shrink_by_what_there_is(ground: Ground) -> None:
    cloud = ground.cloud
    ground.until(partial(add_up, cloud))
    body = {"size": 3, "name": "counted"}
    assert VOLUME.needs(cloud, body) == {"volumes": 1, "gigabytes": 3}
    volume = ground.create(VOLUME, body)
    ground.until(partial(add_up, cloud))
    ground.create(SNAPSHOT, {"volume_id": volume})
    ground.until(partial(add_up, cloud))


def test_cinder_says_413(ground: Ground) -> None:
    if ground.cloud.quota_left()["gigabytes"] is None:
        pytest.skip("the project may have volumes of any size")
    ground.until(partial(add_up, ground.cloud))  # else what other volumes gave back may come in between
    left = ground.cloud.quota_left()["gigabytes"] or 0
    with nothing_made(ground.cloud), refused(413, OverQuota):
        ground.ask(VOLUME, {"size": left + 1})


def test_nova_says_403(ground: Ground) -> None:
    number = one_too_many(ground, "instances")
    with nothing_made(ground.cloud), refused(403, OverQuota):
        ground.ask(SERVER, ground.server_body(min_count=number, max_count=number))


def test_neutron_says_409(ground: Ground) -> None:
    number = one_too_many(ground, "networks")
    with nothing_made(ground.cloud), refused(409, OverQuota):
        ground.cloud.post("network", "/networks", {"networks": [{"name": "tested"}] * number})
