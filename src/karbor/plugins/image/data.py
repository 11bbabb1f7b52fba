"""An image's bytes between Glance and the bank: in pieces, and proved at both ends by size and hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import Any

from karbor.banks.pieces import read_artifact, verify_artifact, write_artifact
from karbor.cloud.connection import Cloud
from karbor.cloud.images import IMAGE
from karbor.cloud.kind import Object, Step
from karbor.model.errors import CloudError, Failed
from karbor.plugins.base import Context

Data = Mapping[str, Any]
"""What is kept of an image's bytes: `size`, `hashes` (hexadecimal, by algorithm), and `index`, the artifact's hash."""


def save_data(ctx: Context, image: Object, artifact: str) -> dict[str, Any]:
    """Read the bytes of an active image into the artifact; what is to be kept of them.

    Raises CloudError when they are not what Glance has on record, Unclear, BankError.
    """
    size = int(image["size"])
    on_record = _hashes(image)
    algorithm = next((name for name in on_record if name in hashlib.algorithms_available), "sha512")
    found = hashlib.new(algorithm, usedforsecurity=False)
    chunks = _hashed(found, ctx.cloud.download(image["id"]))
    index = write_artifact(ctx.section, artifact, chunks, progress=lambda done: ctx.progress(done, size))
    data = {"size": index.size, "hashes": {**on_record, algorithm: found.hexdigest()}, "index": index.digest}
    difference = _difference(data, image)
    if difference:
        raise CloudError(
            f"{ctx.resource}: image {image['id']} of cloud {ctx.cloud.name!r} came damaged: {difference}; "
            "protect it again, and where that does not help look at the image store"
        )
    return data


def upload_data(ctx: Context, id: str, artifact: str, data: Data) -> None:
    """Send the artifact into the queued image `id` and wait until it is active with the saved bytes.

    Raises Failed when Glance has got other bytes, BankCorrupt, Refused.
    """
    ctx.act("upload", partial(_send, ctx, id, artifact, data), partial(_has_arrived, id, data))


def verify_data(ctx: Context, artifact: str, data: Data) -> None:
    """Read and hash every byte of the artifact, and note it. Raises BankCorrupt naming what is damaged."""
    size = int(data["size"])
    verify_artifact(ctx.section, artifact, expected=data["index"], progress=lambda done: ctx.progress(done, size))
    ctx.note("data", "same", f"bytes: all {size} bytes are in the bank as they were saved")


def _send(ctx: Context, id: str, artifact: str, data: Data, cloud: Cloud) -> None:
    with closing(read_artifact(ctx.section, artifact, expected=data["index"])) as chunks:
        cloud.upload(id, _counted(ctx, chunks, data["size"]))


def _counted(ctx: Context, chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    done = 0
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        ctx.progress(done, size)


def _has_arrived(id: str, data: Data, cloud: Cloud) -> bool | Step:
    state = IMAGE.is_active(cloud, id=id)
    difference = _difference(data, IMAGE.seen(cloud, id)) if state is True else ""
    if difference:
        raise Failed(
            f"image {id} of cloud {cloud.name!r} has not the bytes that were sent: {difference}", id, difference
        )
    return state


def _hashed(found: Any, chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        found.update(chunk)
        yield chunk


def _hashes(image: Object) -> dict[str, str]:
    """The hashes that Glance has on record, by algorithm, the strongest first."""
    known = {str(image.get("os_hash_algo")): image.get("os_hash_value"), "md5": image.get("checksum")}
    return {algorithm: value for algorithm, value in known.items() if value}


def _difference(data: Data, image: Object) -> str:
    """How an active image differs from what is kept, "" where it does not as far as both sides know."""
    if image["size"] != data["size"]:
        return f"{image['size']} bytes on record, {data['size']} bytes here"
    for algorithm, value in _hashes(image).items():
        if data["hashes"].get(algorithm, value) != value:
            return f"{algorithm} {value} on record, {data['hashes'][algorithm]} here"
    return ""
