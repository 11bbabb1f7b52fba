"""Images made inside the cloud, of a volume or a server's disk, and how any image gets its hashes and goes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from karbor.sandbox import bytes as disk
from karbor.sandbox.image.rules import change, new_image
from karbor.sandbox.state import Object, State, job, seed

SMALL = 32 << 20  # bytes that are hashed at once; more are hashed in a thread of their own
POLL_SECONDS = 0.02

_hashing: dict[Path, Hashing] = {}


class Hashes:
    """The two hashes of an image's data, fed piece by piece."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha512 = hashlib.sha512()
        self.size = 0

    def over(self, pieces: Iterable[bytes]) -> Iterable[bytes]:
        """Hand `pieces` on and hash them on the way."""
        for piece in pieces:
            self._md5.update(piece)
            self._sha512.update(piece)
            self.size += len(piece)
            yield piece

    def facts(self, image: Object) -> dict[str, Any]:
        """The attributes of an image with this data."""
        return {
            "size": self.size,
            "virtual_size": self.size if image["disk_format"] == "raw" else None,
            "checksum": self._md5.hexdigest(),
            "os_hash_algo": "sha512",
            "os_hash_value": self._sha512.hexdigest(),
        }


class Hashing(threading.Thread):
    """Hashes a file beside the cloud's other work."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="sandbox-hashing", daemon=True)
        self.hashes = Hashes()
        self._pieces = disk.read(path)

    def run(self) -> None:
        """Read the file to its end."""
        for _ in self.hashes.over(self._pieces):
            pass


def new_image_from_file(
    state: State, project_id: str, name: str | None, properties: dict[str, str], path: Path, **facts: Any
) -> Object:
    """An image with the bytes of a file, raw unless `facts` say otherwise; `active` at once, soon where it is large."""
    facts = {"disk_format": "raw", "container_format": "bare", **facts}
    image = new_image(state, project_id, name, properties, **facts)
    fill_image(state, image, path)
    return image


def fill_image(state: State, image: Object, path: Path) -> None:
    """Copy the bytes of a file into an image. It is `active` on return; a large one is `saving` at first."""
    target = state.bytes_of(image["id"])
    disk.copy(path, target)
    if target.stat().st_size <= SMALL:
        hashing = Hashing(target)
        hashing.run()
        change(state, image, status="active", **hashing.hashes.facts(image))
    else:
        change(state, image, status="saving")
        state.later(0, "image.hash", id=image["id"])


@job("image.hash")
def hash_in_background(state: State, id: str) -> None:
    """Look whether the hashes are there; start to compute them where nobody does, as after a restart."""
    image, path = state.table("image").get(id), state.bytes_of(id)
    if image is None:
        _hashing.pop(path, None)
        return
    hashing = _hashing.get(path)
    if hashing is None:
        hashing = _hashing[path] = Hashing(path)
        hashing.start()
    if hashing.is_alive():
        state.later(POLL_SECONDS, "image.hash", id=id)
    else:
        del _hashing[path]
        change(state, image, status="active", **hashing.hashes.facts(image))


def forget_image(state: State, image: Object) -> None:
    """Remove an image and its bytes; its id is burnt for ever."""
    state.drop("image", image["id"])
    state.save("burnt_image", {"id": image["id"]})
    state.bytes_of(image["id"]).unlink(missing_ok=True)
    for member in [one for one in state.table("image_member") if one.startswith(f"{image['id']}/")]:
        state.drop("image_member", member)


@seed
def seed_image(state: State) -> None:
    """The public image `cirros`: a few KiB that are always the same."""
    owner = next(one["id"] for one in state.table("project").values() if one["name"] == "admin")
    path = state.bytes_of("seed")
    disk.write(path, [hashlib.shake_256(b"cirros").digest(12 << 10)])
    new_image_from_file(state, owner, "cirros", {"os_distro": "cirros"}, path, visibility="public")
    path.unlink()
