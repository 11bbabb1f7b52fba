"""How a Cloud calls: what it repeats and what never, in which version it speaks, how it gets in."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from scripted_cloud import PROJECT, Reply, ScriptedCloud, Seen

from karbor.cloud.connection import Cloud
from karbor.model.errors import Gone, Invalid, NotFound, Refused, Unauthorized, Unclear

Start = Callable[..., tuple[Cloud, ScriptedCloud]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a scripted cloud and logs in to it."""
    with ExitStack() as stack:

        def start(
            reply: Callable[[Seen], Reply], *, timeout: float = 20.0, limit: int = 16, **options: Any
        ) -> tuple[Cloud, ScriptedCloud]:
            scripted = stack.enter_context(ScriptedCloud(reply, **options).running(tmp_path))
            return Cloud.connect("scripted", state=tmp_path, timeout=timeout, limit=limit), scripted

        yield start


def replies(*script: Reply) -> Callable[[Seen], Reply]:
    """Answers in this order."""
    left = iter(script)
    return lambda _seen: next(left)


def always(reply: Reply) -> Callable[[Seen], Reply]:
    return lambda _seen: reply


def test_a_connection_knows_whose_it_is(start: Start) -> None:
    cloud, scripted = start(replies())
    assert (cloud.name, cloud.project_id, cloud.user_id) == ("scripted", PROJECT, "u1")
    assert cloud.auth_url == f"{scripted.url}/identity/v3"


def test_a_read_is_repeated(start: Start) -> None:
    good = Reply(json={"server": {}})
    cloud, scripted = start(replies(Reply(503), Reply(429), Reply(cut=True), good, Reply(500), Reply(504), good))
    for tries in (4, 7):
        assert cloud.get("compute", "/servers/1") == {"server": {}}
        assert len(scripted.seen) == tries


def test_whoever_remembers_asks_once_for_each_thing(start: Start) -> None:
    cloud, scripted = start(replies(*[Reply(json={"types": [number]}) for number in range(5)]))
    glance = cloud.remembering()
    for _ in range(3):
        answer = glance.get("volume", "/types")
        assert answer == {"types": [0]}
        answer["types"].append("what a caller does with it is its own affair")
        assert glance.get("volume", "/types", params={"is_public": "None"}) == {"types": [1]}
    assert glance.get("volume", "/types", microversion="3.0") == {"types": [2]}
    assert cloud.get("volume", "/types") == {"types": [3]}
    assert cloud.remembering().get("volume", "/types") == {"types": [4]}
    assert len(scripted.seen) == 5


def test_a_read_is_not_repeated_for_ever(start: Start) -> None:
    cloud, scripted = start(always(Reply(503, {"error": "busy"})))
    with pytest.raises(Unclear, match=r"GET /servers/1 of cloud 'scripted': 503 busy") as unclear:
        cloud.get("compute", "/servers/1")
    assert unclear.value.status == 503
    assert len(scripted.seen) == 4


def test_a_read_outlasts_a_service_that_is_restarted(start: Start) -> None:
    """Nobody answers for longer than the four tries of an answer that may pass take."""
    cloud, scripted = start(replies(*[Reply(cut=True)] * 4, Reply(json={"server": {}})))
    assert cloud.get("compute", "/servers/1") == {"server": {}}
    assert len(scripted.seen) == 5


@pytest.mark.parametrize("trouble", [Reply(503), Reply(500), Reply(429), Reply(504), Reply(cut=True)], ids=str)
@pytest.mark.parametrize("verb", ["post", "put", "patch", "delete"])
def test_a_change_is_never_repeated(start: Start, verb: str, trouble: Reply) -> None:
    cloud, scripted = start(always(trouble))
    with pytest.raises(Unclear):
        getattr(cloud, verb)("volume", "/volumes", {"volume": {}})
    assert len(scripted.seen) == 1


def test_a_service_that_hangs_is_given_up(start: Start) -> None:
    hung = threading.Event()

    def reply(seen: Seen) -> Reply:
        hung.wait(60)
        return Reply()

    cloud, scripted = start(reply, timeout=0.3)
    try:
        with pytest.raises(Unclear, match="no answer") as unclear:
            cloud.post("volume", "/volumes", {})
        assert unclear.value.status == 0
        assert len(scripted.seen) == 1
    finally:
        hung.set()


def test_silence_and_an_answer_are_told_apart(start: Start) -> None:
    """A status of 0 says that the request may still be at work."""
    cloud, _ = start(replies(Reply(cut=True), Reply(504), Reply(502), Reply(500), Reply(503)))
    statuses = []
    for _ in range(5):
        with pytest.raises(Unclear) as unclear:
            cloud.post("compute", "/servers", {})
        statuses.append(unclear.value.status)
    assert statuses == [0, 0, 0, 500, 503]


def test_every_call_says_its_version(start: Start) -> None:
    cloud, scripted = start(always(Reply(json={})))
    cloud.get("compute", "/servers")
    cloud.post("volume", "/volumes", {})
    cloud.get("compute", "/servers/1", microversion="2.46")
    said = [seen.headers["OpenStack-API-Version"] for seen in scripted.seen]
    assert said == ["compute 2.93", "volume 3.70", "compute 2.46"]


def test_an_older_cloud_is_spoken_to_in_its_own_version(start: Start) -> None:
    cloud, scripted = start(always(Reply(json={})), compute="2.60", volume="3.9")
    cloud.get("compute", "/servers")
    cloud.get("volume", "/volumes")
    said = [seen.headers["OpenStack-API-Version"] for seen in scripted.seen]
    assert said == ["compute 2.60", "volume 3.9"]
    assert (cloud.microversion("compute"), cloud.microversion("volume")) == ((2, 60), (3, 9))


def test_a_newer_cloud_is_spoken_to_in_ours(start: Start) -> None:
    cloud, _ = start(always(Reply(json={})), compute="2.100", volume="3.71")
    assert (cloud.microversion("compute"), cloud.microversion("volume")) == ((2, 93), (3, 70))


def test_a_login_that_has_run_out_is_renewed(start: Start) -> None:
    cloud, scripted = start(replies(Reply(401), Reply(json={"made": 1})))
    assert cloud.post("volume", "/volumes", {}) == {"made": 1}
    assert scripted.logins == 2
    cloud, scripted = start(always(Reply(401)))
    with pytest.raises(Unauthorized):
        cloud.get("volume", "/volumes")


def test_an_upload_is_not_sent_again_with_what_is_left_of_it(start: Start) -> None:
    cloud, scripted = start(replies(Reply(json={"status": "queued"}), Reply(401)))
    with pytest.raises(Unauthorized):
        cloud.upload("i", iter([b"some", b"bytes"]))
    assert [(seen.method, seen.body) for seen in scripted.seen] == [("GET", b""), ("PUT", b"somebytes")]


def image(size: int) -> Reply:
    return Reply(json={"status": "active", "size": size})


def test_a_download_goes_on_where_it_was_cut(start: Start) -> None:
    data = bytes(range(256)) * 100
    first = Reply(body=data[:10_000], headers={"Content-Length": str(len(data))})
    rest = Reply(206, body=data[10_000:])
    cloud, scripted = start(replies(image(len(data)), first, Reply(503), rest))
    assert b"".join(cloud.download("i")) == data
    assert [seen.headers.get("Range") for seen in scripted.seen] == [None, None, "bytes=10000-", "bytes=10000-"]


def test_a_download_that_never_gets_on_ends_in_an_error(start: Start) -> None:
    stuck = Reply(body=b"", headers={"Content-Length": "5"})
    cloud, scripted = start(lambda seen: stuck if seen.path.endswith("/file") else image(5))
    with pytest.raises(Unclear, match="byte 0 of 5"):
        list(cloud.download("i"))
    assert len(scripted.seen) == 5


@pytest.mark.parametrize("other", [Reply(body=b"four"), Reply(body=b"sixsix"), Reply(206, body=b"five5")], ids=str)
def test_a_download_of_another_size_than_the_images_is_refused(start: Start, other: Reply) -> None:
    cloud, _ = start(lambda seen: other if seen.path.endswith("/file") else image(5))
    with pytest.raises(Refused, match="where the image has 5"):
        list(cloud.download("i"))


def test_an_answer_for_the_whole_is_not_taken_for_the_rest(start: Start) -> None:
    cut = Reply(body=b"ab", headers={"Content-Length": "5"})
    cloud, _ = start(replies(image(5), cut, Reply(200, body=b"abcde")))
    with pytest.raises(Refused, match="from byte 2"):
        list(cloud.download("i"))


def page(number: int, *, last: bool = False) -> Reply:
    links = [] if last else [{"rel": "next", "href": f"https://not.to.be/reached?limit=1&marker={number}&x="}]
    return Reply(json={"volumes": [{"id": str(number)}], "volumes_links": links})


def test_pages_are_followed_by_their_query_alone(start: Start) -> None:
    cloud, scripted = start(replies(page(1), page(2), page(3, last=True)))
    found = [volume["id"] for volume in cloud.pages("volume", "/volumes", "volumes", params={"name": "a b"})]
    assert found == ["1", "2", "3"]
    queries = [seen.path.partition("?")[2] for seen in scripted.seen]
    assert queries == ["name=a+b", "limit=1&marker=1&x=", "limit=1&marker=2&x="]


@pytest.mark.parametrize("gone", [Reply(400, {"badRequest": {"message": "marker [1] not found"}}), Reply(404)], ids=str)
def test_a_listing_whose_marker_was_deleted_is_read_anew(start: Start, gone: Reply) -> None:
    cloud, _ = start(replies(page(1), gone, page(2), page(3, last=True)))
    assert [volume["id"] for volume in cloud.pages("volume", "/volumes", "volumes")] == ["2", "3"]


def test_a_listing_that_is_refused_is_not_read_anew(start: Start) -> None:
    cloud, scripted = start(replies(Reply(400, {"badRequest": {"message": "unknown filter"}})))
    with pytest.raises(Refused, match="unknown filter"):
        cloud.pages("volume", "/volumes", "volumes", params={"nonsense": 1})
    assert len(scripted.seen) == 1


def test_glance_is_asked_for_whole_pages(start: Start) -> None:
    first = Reply(json={"images": [{"id": "a"}], "next": "/v2/images?marker=a&limit=1000"})
    cloud, scripted = start(replies(first, Reply(json={"images": []})))
    assert [image["id"] for image in cloud.pages("image", "/images", "images")] == ["a"]
    assert [seen.path for seen in scripted.seen] == [
        "/image/v2/images?limit=1000",
        "/image/v2/images?marker=a&limit=1000",
    ]


@pytest.mark.parametrize("body", [b"<html>login here</html>", b"[1, 2]", b'"text"'])
def test_a_success_that_is_no_json_object_is_unclear(start: Start, body: bytes) -> None:
    cloud, _ = start(always(Reply(200, body=body)))
    with pytest.raises(Unclear, match="no JSON object"):
        cloud.get("compute", "/servers")


def test_a_body_in_another_media_type_is_sent_as_such(start: Start) -> None:
    cloud, scripted = start(always(Reply(json={})))
    cloud.patch("image", "/images/i", [{"op": "remove", "path": "/x"}], content_type="application/patch+json")
    (seen,) = scripted.seen
    assert seen.headers["Content-Type"] == "application/patch+json"
    assert seen.body == b'[{"op": "remove", "path": "/x"}]'


def test_no_more_calls_run_at_once_than_the_limit(start: Start) -> None:
    running: list[str] = []
    most = 0
    three = threading.Barrier(3)

    def reply(seen: Seen) -> Reply:
        nonlocal most
        running.append(seen.path)
        most = max(most, len(running))
        three.wait(20)
        running.pop()
        return Reply(json={})

    cloud, scripted = start(reply, limit=3)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda number: cloud.get("compute", f"/servers/{number}"), range(12)))
    assert len(scripted.seen) == 12
    assert most == 3


def test_no_secret_is_logged(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "karbor")
    cloud, scripted = start(always(Reply(json={})))
    cloud.post("compute", "/servers", {"server": {"user_data": "c2VjcmV0"}})
    assert scripted.seen[0].headers["X-Auth-Token"] == "secret-token-1"
    assert "POST /servers" in caplog.text
    assert not [word for word in ("c2VjcmV0", "secret-token", "hush") if word in caplog.text]


def write_clouds(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "clouds.yaml"
    file.write_text(text)
    return file


def test_an_unknown_cloud_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = write_clouds(tmp_path / "usual", "clouds: {theirs: {auth: {auth_url: 'http://127.0.0.1:1/v3'}}}")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(usual))
    write_clouds(tmp_path / "state", "clouds: {ours: {}}")
    with pytest.raises(NotFound, match=r"no cloud 'none'.*theirs"):
        Cloud.connect("none", state=tmp_path / "state")
    with pytest.raises(NotFound, match="no cloud 'ours'"):
        Cloud.connect("ours")


@pytest.mark.parametrize(
    "entry",
    [
        "{auth_type: password, auth: {username: u, password: hush}}",
        "{auth_type: none, endpoint: 'http://127.0.0.1:1'}",
        "{auth_type: nonsense, auth: {}}",
    ],
)
def test_an_entry_that_cannot_be_used_is_invalid(tmp_path: Path, entry: str) -> None:
    write_clouds(tmp_path, f"clouds: {{broken: {entry}}}")
    with pytest.raises(Invalid, match="broken") as invalid:
        Cloud.connect("broken", state=tmp_path)
    assert "hush" not in str(invalid.value)


def test_a_keystone_that_does_not_answer_is_unclear(tmp_path: Path) -> None:
    auth = "{auth_url: 'http://127.0.0.1:1/v3', username: u, password: hush, project_name: p, user_domain_id: d}"
    write_clouds(tmp_path, f"clouds: {{dead: {{auth: {auth}}}}}")
    with pytest.raises(Unclear, match="dead"):
        Cloud.connect("dead", state=tmp_path)


def test_the_states_clouds_come_first(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = "{auth: {auth_url: 'http://127.0.0.1:1/v3', username: u, password: p, project_name: p}}"
    usual = write_clouds(tmp_path / "usual", f"clouds: {{scripted: {dead}}}")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(usual))
    monkeypatch.setenv("OS_USERNAME", "somebody else")
    cloud, scripted = start(replies())
    assert cloud.auth_url.startswith(scripted.url)


def test_a_service_without_an_answer_of_its_versions_is_asked_again_next_time(start: Start) -> None:
    cloud, _ = start(always(Reply(404)))
    with pytest.raises(Gone):
        cloud.get("network", "/networks/1")
    with pytest.raises(NotFound, match="object-store"):
        cloud.get("object-store", "/")
    assert not cloud.has("object-store")
    assert cloud.has("network")
