"""Calls to Nova that its tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cloud_time
import requests
from openstack.connection import Connection

from karbor.sandbox import Sandbox


def call(cloud: Connection, method: str, path: str, body: Any = None, version: str = "2.93") -> Any:
    """A raw call; the answer whatever it is."""
    return cloud.compute.request(path, method, json=body, microversion=version)


def refuse(cloud: Connection, method: str, path: str, body: Any = None, version: str = "2.93") -> tuple[int, str]:
    """The status and message of a call that must fail."""
    answer = call(cloud, method, path, body, version)
    assert answer.status_code >= 400, answer.text
    [inner] = answer.json().values()
    assert inner["code"] == answer.status_code
    return answer.status_code, inner["message"]


def boot(cloud: Connection, *, hints: Any = None, version: str = "2.93", **more: Any) -> str:
    """The id of a new server, from the image `cirros` and without a network unless told otherwise."""
    answer = try_boot(cloud, hints=hints, version=version, **more)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["server"]["id"])


def try_boot(cloud: Connection, *, hints: Any = None, version: str = "2.93", **more: Any) -> Any:
    """The answer to a request for a server; an attribute of None is left out."""
    server = {
        "name": "s",
        "flavorRef": "1",
        "imageRef": cloud.image.find_image("cirros").id,
        "networks": "none",
        **more,
    }
    body: dict[str, Any] = {"server": {name: value for name, value in server.items() if value is not None}}
    return call(cloud, "POST", "/servers", body | ({"os:scheduler_hints": hints} if hints else {}), version)


def show(cloud: Connection, id: str, version: str = "2.93") -> Any:
    """A server as it is now."""
    return call(cloud, "GET", f"/servers/{id}", version=version).json()["server"]


def act(cloud: Connection, id: str, name: str, arguments: Any = None) -> int:
    """The status of an action."""
    return int(call(cloud, "POST", f"/servers/{id}/action", {name: arguments}).status_code)


def states(sandbox: Sandbox, look: Callable[[], Any], last: Any) -> list[Any]:
    """What `look` tells between the cloud's steps, each once in the order seen, until it tells `last`."""
    seen = [look()]
    while seen[-1] != last:
        assert cloud_time.step(sandbox), f"nothing is under way after {seen}"
        if (now := look()) != seen[-1]:
            seen.append(now)
    return seen


def make_volume(cloud: Connection, **more: Any) -> Any:
    """A volume of 1 GiB."""
    return cloud.block_storage.create_volume(size=1, **more)


def volume_root(id: str, **more: Any) -> dict[str, Any]:
    """The mapping entry of a volume to boot from."""
    return {"boot_index": 0, "uuid": id, "source_type": "volume", "destination_type": "volume", **more}


def fault(sandbox: Sandbox, **described: Any) -> None:
    """Let a request go wrong."""
    assert requests.post(f"{sandbox.url}/sandbox/faults", json=described, timeout=5).status_code == 201
