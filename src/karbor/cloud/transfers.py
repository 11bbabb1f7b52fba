"""The bytes of images: sent and fetched as they come, so that no image ever lies in memory or on this host's disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import requests
from urllib3.exceptions import HTTPError

from karbor import clock
from karbor.cloud.answers import error_of
from karbor.model.errors import NotNow, Refused, Unclear

if TYPE_CHECKING:
    from karbor.cloud.connection import Cloud

CHUNK = 1024 * 1024
TRIES = 4
PAUSE = 0.5


class _Source:
    """Hands chunks on and remembers why they ended, since the HTTP library reports every OSError as its own."""

    def __init__(self, cloud: Cloud, chunks: Iterator[bytes]) -> None:
        self.cloud = cloud
        self.chunks = chunks
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self.chunks:
                self.cloud.check()
                if chunk:  # an empty one would end a chunked body
                    yield chunk
        except BaseException as error:
            self.error = error
            raise


def upload(cloud: Cloud, image_id: str, chunks: Iterator[bytes]) -> None:
    """PUT the bytes of a queued image, once.

    An error of `chunks` is raised as it is; it cuts the connection, and the service keeps nothing (the image is
    `queued` again). Raises Refused (it has its bytes), NotNow (it is getting some), OverQuota, Gone, Unclear.
    """
    path = f"/images/{image_id}/file"
    source = _Source(cloud, chunks)
    with cloud.uploads:
        # Looks at the token too: a login in the middle would send the rest of the chunks as if it were all.
        status = cloud.get("image", f"/images/{image_id}")["status"]
        if status != "queued":
            # `saving` may be what is left of an upload that was cut a moment ago: it ends by itself.
            error = NotNow if status == "saving" else Refused
            raise error(f"image {image_id} of cloud {cloud.name!r} is {status}, not queued; it takes no bytes", 409)
        try:
            response = cloud.send(
                "PUT",
                "image",
                path,
                data=iter(source),
                headers={"Content-Type": "application/octet-stream"},
                allow_reauth=False,
                redirect=False,
            )
        except Unclear:
            if source.error:
                raise source.error from None
            raise
    if response.status_code >= 300:
        raise error_of(cloud, "PUT", path, response)


def download(cloud: Cloud, image_id: str) -> Iterator[bytes]:
    """The bytes of an active image, in chunks of 1 MiB.

    After a cut the rest is asked for by Range, up to four times in a row without a byte of progress.
    Raises Gone, Refused (it has no bytes yet), Unclear (cut for good, or not as many bytes as the image's size).
    """
    what = f"GET /images/{image_id}/file of cloud {cloud.name!r}"
    image = cloud.get("image", f"/images/{image_id}")
    if image["status"] != "active":
        raise Refused(f"{what} is not possible: the image is {image['status']}, not active", 409)
    size = int(image["size"] or 0)
    done = failures = 0
    with cloud.downloads:
        while done < size:
            before = done
            problem = "the connection ended"
            try:
                with closing(_open(cloud, image_id, done, size)) as response:
                    while chunk := response.raw.read(CHUNK):
                        done += len(chunk)
                        yield chunk
            except (HTTPError, OSError, Unclear) as error:
                problem = str(error)
            failures = 1 if done > before else failures + 1
            if done < size and failures == TRIES:
                raise Unclear(f"{what} stopped at byte {done} of {size}: {problem}")
            if done < size:
                clock.sleep(PAUSE * 2 ** (failures - 1))
    if done != size:
        raise Unclear(f"{what} gave {done} bytes where the image has {size}")


def _open(cloud: Cloud, image_id: str, start: int, size: int) -> requests.Response:
    """The answer whose body begins at byte `start`."""
    path = f"/images/{image_id}/file"
    headers = {"Range": f"bytes={start}-"} if start else {}
    response = cloud.send("GET", "image", path, headers=headers, stream=True)
    if response.status_code >= 300:
        raise error_of(cloud, "GET", path, response)
    length = int(response.headers.get("Content-Length") or size - start)
    if response.status_code != (206 if start else 200) or length != size - start:
        response.close()
        raise Refused(
            f"GET {path} of cloud {cloud.name!r} from byte {start}: {response.status_code} with {length} bytes, "
            f"where the image has {size}",
            response.status_code,
        )
    return response
