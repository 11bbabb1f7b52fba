"""The data of images: uploads that stream, downloads that can be resumed, and the two-step import."""

from __future__ import annotations

import re
from collections.abc import Iterator

from karbor.sandbox import bytes as disk
from karbor.sandbox.http import Answer, ConnectionLost, Fault, Request, route
from karbor.sandbox.image.fill import Hashes
from karbor.sandbox.image.images import PATH
from karbor.sandbox.image.rules import change, find, find_own
from karbor.sandbox.state import Object, State, job


@route("PUT", f"{PATH}/{{id}}/file", locked=False)
def upload(state: State, request: Request, id: str) -> Answer:
    """Take the data of a `queued` image, with or without a length. A cut upload keeps nothing: `queued` again."""
    return _receive(state, request, id, during="saving", after="active")


@route("PUT", f"{PATH}/{{id}}/stage", locked=False)
def stage(state: State, request: Request, id: str) -> Answer:
    """Take the data for a later import."""
    return _receive(state, request, id, during="uploading", after="uploading")


def _receive(state: State, request: Request, id: str, *, during: str, after: str) -> Answer:
    if (request.header("Content-Type") or "").partition(";")[0] != "application/octet-stream":
        raise Fault(415, "Unsupported Content-Type: application/octet-stream is expected.")
    with state.lock:
        image = find_own(state, request, id)
        if image["status"] != "queued":
            raise Fault(409, f"Image status transition from {image['status']} to {during} is not allowed")
        if image["disk_format"] is None or image["container_format"] is None:
            raise Fault(400, "Properties disk_format, container_format must be set prior to saving data.")
        change(state, image, status=during)
    hashes, draft = Hashes(), state.bytes_of(f"{id}.upload")
    try:
        disk.write(draft, hashes.over(request.chunks()))
    except BaseException as problem:
        draft.unlink()
        with state.lock:
            if id in state.table("image"):
                change(state, image, status="queued")
        if isinstance(problem, ConnectionLost):
            raise Fault(400, f"Client disconnected before sending all data to backend: {problem}") from problem
        raise
    with state.lock:
        if id not in state.table("image"):
            draft.unlink()
            raise Fault(410, f"Image {id} was deleted while its data came in.")
        draft.replace(state.bytes_of(id))
        change(state, image, status=after, **hashes.facts(image))
    return Answer(204)


@route("POST", f"{PATH}/{{id}}/import")
def import_image(state: State, request: Request, id: str) -> Answer:
    """Make an image of the staged data: method `glance-direct` only."""
    image = find_own(state, request, id)
    method = (request.json().get("method") or {}).get("name")
    if method != "glance-direct":
        raise Fault(400, f"Unknown import method name '{method}'.")
    imported = image["status"] == "active" and "os_glance_importing_to_stores" in image["properties"]
    if image["status"] == "importing" or imported:
        raise Fault(409, f"Image {id} has active task and can not be imported again.")
    if image["status"] != "uploading" or not state.bytes_of(id).exists():
        raise Fault(409, "Only images with status uploading can be imported")
    marks = {"os_glance_importing_to_stores": "", "os_glance_failed_import": ""}
    change(state, image, status="importing", properties={**image["properties"], **marks})
    state.later(None, "image.import", id=id)
    return Answer(202)


@job("image.import")
def finish_import(state: State, id: str, error: bool = False) -> None:
    """The image is `active`, or `queued` again with the store that failed."""
    image = state.table("image").get(id)
    if image is None:
        return
    failed = {"os_glance_failed_import": "file"} if error else {}
    change(state, image, status="queued" if error else "active", properties={**image["properties"], **failed})


@route("GET", f"{PATH}/{{id}}/tasks")
def list_tasks(state: State, request: Request, id: str) -> Answer:
    """The tasks of an image; the sandbox remembers none."""
    find(state, request, id)
    return Answer(200, {"tasks": []})


@route("GET", "/image/v2/info/import")
def show_import_methods(state: State, request: Request) -> Answer:
    """The one import method."""
    return Answer(200, {"import-methods": {"type": "array", "value": ["glance-direct"]}})


@route("GET", f"{PATH}/{{id}}/file")
def download(state: State, request: Request, id: str) -> Answer:
    """The data, or the `Range` of it that is asked for; 204 for an image that has none."""
    image = find(state, request, id)
    if image["status"] != "active":
        return Answer(204)
    headers = {"Content-Type": "application/octet-stream"}
    if image["checksum"]:
        headers["Content-Md5"] = image["checksum"]
    size = image["size"]
    asked = request.header("Range")
    if asked is None:
        return Answer(200, stream=_bytes(state, image, 0, size), length=size, headers=headers)
    start, end = _range(asked, size)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return Answer(206, stream=_bytes(state, image, start, end - start), length=end - start, headers=headers)


def _bytes(state: State, image: Object, start: int, length: int) -> Iterator[bytes]:
    return disk.read(state.bytes_of(image["id"]), start, length) if image["size"] else iter(())


def _range(asked: str, size: int) -> tuple[int, int]:
    """Start and end of "bytes=a-b", "bytes=a-" or "bytes=-n". Raises Fault 416."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", asked.strip())
    if match is None or not (match[1] or match[2]):
        raise Fault(416, f"Invalid range: {asked}", headers={"Content-Range": f"bytes */{size}"})
    start = int(match[1]) if match[1] else max(0, size - int(match[2]))
    end = min(int(match[2]) + 1, size) if match[1] and match[2] else size
    if start >= end:
        raise Fault(416, f"Invalid range: {asked}", headers={"Content-Range": f"bytes */{size}"})
    return start, end
