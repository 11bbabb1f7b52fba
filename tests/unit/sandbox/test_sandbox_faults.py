"""The sandbox's own switches: faults on demand, delay, quotas, counts; and what survives a restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cloud_time
import pytest
import requests
from openstack.connection import Connection

from karbor.demo import waits
from karbor.sandbox import Sandbox


class Switches:
    """The endpoints below /sandbox."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/sandbox"

    def fault(self, **described: object) -> None:
        answered = requests.post(f"{self.url}/faults", json=described, timeout=5)
        assert answered.status_code == 201, answered.text

    def get(self, what: str) -> dict[str, object]:
        return dict(requests.get(f"{self.url}/{what}", timeout=5).json())

    def put(self, what: str, body: dict[str, object]) -> requests.Response:
        return requests.put(f"{self.url}/{what}", json=body, timeout=5)


@pytest.fixture
def switches(sandbox: Sandbox) -> Switches:
    return Switches(sandbox.url)


def _post_volume(cloud: Connection, **body: object) -> requests.Response:
    return cloud.block_storage.post("/volumes", json={"volume": {"size": 1, **body}}, microversion="3.70")


def test_status_before_the_work_in_the_services_own_shape(cloud: Connection, switches: Switches) -> None:
    switches.fault(service="volume", method="POST", path="/volumes", times=2, status=503, headers={"Retry-After": "1"})
    refused = [_post_volume(cloud) for _ in range(3)]
    assert [answer.status_code for answer in refused] == [503, 503, 202]
    assert refused[0].json()["serviceUnavailable"]["code"] == 503
    assert refused[0].headers["Retry-After"] == "1"
    assert switches.get("counts")["creates"]["volume"] == 1
    assert switches.get("faults")["faults"][0]["hits"] == 2


def test_status_after_the_work_makes_it_all_the_same(cloud: Connection, switches: Switches) -> None:
    switches.fault(service="volume", method="POST", path="/volumes", status=500, after=True)
    assert _post_volume(cloud, name="twin").status_code == 500
    assert [volume.name for volume in cloud.block_storage.volumes()] == ["twin"]
    assert switches.get("counts")["by_name"]["volume/twin"] == 1


@pytest.mark.parametrize(("after", "made"), [(False, 0), (True, 1)])
def test_dropped_connections(cloud: Connection, switches: Switches, sandbox: Sandbox, after: bool, made: int) -> None:
    url, headers = f"{cloud.block_storage.get_endpoint()}/volumes", {"X-Auth-Token": cloud.auth_token}
    switches.fault(service="volume", method="POST", path="/volumes", action="drop", after=after)
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.post(url, json={"volume": {"size": 1}}, headers=headers, timeout=5)
    assert len(list(cloud.block_storage.volumes())) == made


def test_slow_beyond_the_clients_patience_still_does_the_work(cloud: Connection, switches: Switches) -> None:
    url, headers = f"{cloud.block_storage.get_endpoint()}/volumes", {"X-Auth-Token": cloud.auth_token}
    switches.fault(service="volume", method="POST", path="/volumes", action="slow", seconds=1, after=True)
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(url, json={"volume": {"size": 1}}, headers=headers, timeout=0.3)
    waits.until("it is made all the same", lambda: len(list(cloud.block_storage.volumes())) == 1)


def test_stuck_objects_stay_as_they_are(cloud: Connection, switches: Switches) -> None:
    switches.fault(service="volume", method="POST", path="/volumes", action="stuck")
    volume = _post_volume(cloud).json()["volume"]
    assert cloud.block_storage.get_volume(volume["id"]).status == "creating"
    assert cloud.block_storage.delete(f"/volumes/{volume['id']}").status_code == 400
    assert cloud.block_storage.post(f"/volumes/{volume['id']}/action", json={"os-force_delete": {}}).status_code == 403


def test_half_made_volumes_can_be_deleted(cloud: Connection, switches: Switches) -> None:
    url, headers = f"{cloud.block_storage.get_endpoint()}/volumes", {"X-Auth-Token": cloud.auth_token}
    switches.fault(service="volume", method="POST", path="/volumes", action="half_made")
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.post(url, json={"volume": {"size": 1}}, headers=headers, timeout=5)
    volume = next(cloud.block_storage.volumes())
    assert volume.status == "creating"
    assert cloud.block_storage.delete(f"/volumes/{volume.id}").status_code == 202
    assert list(cloud.block_storage.volumes()) == []


def test_late_errors(cloud: Connection, switches: Switches) -> None:
    switches.fault(service="volume", method="POST", path="/(volumes|backups)", action="late_error", times=None)
    broken = _post_volume(cloud).json()["volume"]
    assert cloud.block_storage.get_volume(broken["id"]).status == "error"
    requests.delete(f"{switches.url}/faults", timeout=5)
    volume = _post_volume(cloud).json()["volume"]
    switches.fault(service="volume", method="POST", path="/backups", action="late_error")
    backup = cloud.block_storage.create_backup(volume_id=volume["id"])
    backup = cloud.block_storage.get_backup(backup.id)
    assert (backup.status, backup.fail_reason) == ("error", "The backup failed on demand.")
    assert cloud.block_storage.get_volume(volume["id"]).status == "available"


def test_a_fault_can_look_into_the_body(cloud: Connection, switches: Switches) -> None:
    volume = _post_volume(cloud).json()["volume"]
    switches.fault(service="volume", method="POST", path="/volumes/.*/action", body="os-extend", status=500)
    path = f"/volumes/{volume['id']}/action"
    assert cloud.block_storage.post(path, json={"os-set_bootable": {"bootable": True}}).status_code == 200
    assert cloud.block_storage.post(path, json={"os-extend": {"new_size": 2}}).status_code == 500


def test_a_download_can_be_cut(cloud: Connection, switches: Switches) -> None:
    image = cloud.image.post("/images", json={"disk_format": "raw", "container_format": "bare"}).json()["id"]
    data = bytes(range(256)) * 4096
    octets = {"Content-Type": "application/octet-stream"}
    assert cloud.image.put(f"/images/{image}/file", data=data, headers=octets).status_code == 204
    switches.fault(service="image", method="GET", path=f"/images/{image}/file", action="drop", after=True, bytes=1000)
    url = f"{cloud.image.get_endpoint()}/images/{image}/file"
    with pytest.raises(requests.exceptions.RequestException):
        requests.get(url, headers={"X-Auth-Token": cloud.auth_token}, timeout=5)
    assert requests.get(url, headers={"X-Auth-Token": cloud.auth_token}, timeout=5).content == data


def test_nonsense_is_refused_and_sets_nothing(switches: Switches) -> None:
    for nonsense in (
        {"service": "heat", "status": 500},
        {"action": "explode"},
        {"service": "volume"},
        {"service": "volume", "status": 500, "path": "("},
        {"status": 500, "colour": "red"},
    ):
        assert requests.post(f"{switches.url}/faults", json=nonsense, timeout=5).status_code == 400
    assert switches.get("faults") == {"faults": []}


def test_delay(cloud: Connection, switches: Switches) -> None:
    assert switches.put("delay", {"seconds": 60}).status_code == 200
    volume = _post_volume(cloud).json()["volume"]
    assert cloud.block_storage.get_volume(volume["id"]).status == "creating"
    assert switches.put("delay", {"seconds": -1}).status_code == 400


def test_quotas(cloud: Connection, switches: Switches) -> None:
    assert switches.put("quotas/sandbox", {"volume": {"volumes": 1, "gigabytes": 2}}).status_code == 200
    volume = _post_volume(cloud).json()["volume"]
    refused = _post_volume(cloud)
    assert (refused.status_code, refused.headers["Retry-After"]) == (413, "0")
    assert refused.json()["overLimit"]["retryAfter"] == "0"
    for expected in (202, 413):  # a snapshot eats its volume's size
        body = {"snapshot": {"volume_id": volume["id"]}}
        assert cloud.block_storage.post("/snapshots", json=body).status_code == expected
    assert switches.put("quotas/nobody", {"volume": {"volumes": 1}}).status_code == 404
    for nonsense in ({"volume": {"wheels": 1}}, {"volume": {"volumes": "x"}}, {"volume": 1}, {"heat": {"stacks": 1}}):
        assert switches.put("quotas/sandbox", nonsense).status_code == 400


def test_a_cloud_can_do_without_a_service_or_an_extension(
    connect: Callable[..., Connection], switches: Switches
) -> None:
    assert switches.put("lacks", {"lacks": ["volume", "router"]}).json() == {"lacks": ["volume", "router"]}
    poor = connect()
    offered = {service["type"] for service in poor.identity.get("/auth/catalog").json()["catalog"]}
    assert offered == {"identity", "compute", "image", "network"}
    assert poor.network.find_extension("router") is None
    assert {poor.network.get(path).status_code for path in ("/routers", "/routers/x", "/floatingips")} == {404}
    assert poor.network.get("/networks").status_code == 200
    for nonsense in (["identity"], ["wheels"], "volume", [{}]):
        assert switches.put("lacks", {"lacks": nonsense}).status_code == 400
    assert switches.put("lacks", {"lacks": []}).status_code == 200
    assert connect().block_storage.get("/volumes").status_code == 200
    assert poor.network.get("/routers").status_code == 200


def test_what_was_under_way_goes_on_after_a_restart(tmp_path: Path) -> None:
    import openstack.config

    def connect(sandbox: Sandbox) -> Connection:
        config = openstack.config.OpenStackConfig(config_files=[str(sandbox.clouds_file)], load_envvars=False)
        return Connection(config=config.get_one("sandbox"))

    with Sandbox(tmp_path / "state", delay=cloud_time.LONG) as first, connect(first) as cloud:
        cloud.block_storage.create_volume(size=1, name="slow")
    with Sandbox(tmp_path / "state") as again, connect(again) as cloud:
        assert next(cloud.block_storage.volumes()).status == "creating"
        cloud_time.step(again)
        volume = next(cloud.block_storage.volumes())
        assert (volume.name, volume.status) == ("slow", "available")
        assert requests.get(f"{again.url}/sandbox/counts", timeout=5).json()["creates"]["volume"] == 1


def test_inventory_by_project(cloud: Connection, other: Connection, switches: Switches) -> None:
    volume = _post_volume(cloud).json()["volume"]
    assert switches.get(f"inventory?project_id={cloud.current_project_id}")["volume"] == [volume["id"]]
    assert "volume" not in switches.get(f"inventory?project_id={other.current_project_id}")


def test_malformed_bodies_are_400(cloud: Connection) -> None:
    post: Callable[..., requests.Response] = cloud.block_storage.post
    assert post("/volumes", data=b"{", headers={"Content-Type": "application/json"}).status_code == 400
    assert post("/volumes", json=[1]).status_code == 400
    assert post("/volumes", json={"wrong": {}}).status_code == 400
    assert cloud.block_storage.get("/nothing").status_code == 404
    assert cloud.block_storage.patch("/volumes").status_code == 405
