"""The contract of `/providers`, `/protectables`, the version document and what is no route."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from api_client import NOOP, OS_INFRA, UNKNOWN, Api, Client

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.networks import NETWORK

VOLUME_TYPE, NETWORK_TYPE, PROJECT = "OS::Cinder::Volume", "OS::Neutron::Network", "OS::Keystone::Project"


@pytest.fixture(scope="module")
def things(api: Api) -> Any:
    """Three volumes and a network of the project sandbox."""
    cloud = api.client("sandbox").cloud
    assert cloud is not None
    volumes = [VOLUME.create(cloud, {"size": 1, "metadata": {}}, f"t{n}") for n in range(3)]
    network = NETWORK.create(cloud, {"name": "front"}, "t")
    yield volumes, network
    for id in volumes:
        VOLUME.delete(cloud, id)
    NETWORK.delete(cloud, network)


def test_providers_tell_what_can_be_asked_of_them(member: Client) -> None:
    found = member.get("/providers").ok("providers")
    assert [provider["id"] for provider in found] == sorted([NOOP, OS_INFRA])
    for provider in found:
        assert set(provider) == {"id", "name", "description", "extended_info_schema"}
        info = provider["extended_info_schema"]
        assert {"options_schema", "restore_schema", "saved_info_schema", "verify_schema"} == set(info)
        assert member.get(f"/providers/{provider['id']}").ok("provider") == provider
    noop, infra = (provider["extended_info_schema"] for provider in found)
    assert noop["options_schema"] and not any(noop["options_schema"].values())
    schema = infra["options_schema"][VOLUME_TYPE]
    assert schema["type"] == "object" and schema["required"] == []
    for option in schema["properties"].values():
        assert {"type", "title", "description", "default"} <= set(option)


def test_providers_page_and_filter(member: Client) -> None:
    first = member.get("/providers", limit=1)
    assert [provider["id"] for provider in first.ok("providers")] == [NOOP]
    assert f"marker={NOOP}" in first.ok("providers_links")[0]["href"]
    assert [p["id"] for p in member.get("/providers", marker=NOOP).ok("providers")] == [OS_INFRA]
    assert [p["id"] for p in member.get("/providers", name="OS Infra").ok("providers")] == [OS_INFRA]
    member.get("/providers/nonsense").fault(400, "badRequest")
    member.get(f"/providers/{UNKNOWN}").fault(404, "itemNotFound")


def test_protectable_types(member: Client) -> None:
    types = member.get("/protectables").ok("protectable_type")
    assert {PROJECT, "OS::Nova::Server", VOLUME_TYPE, "OS::Glance::Image", NETWORK_TYPE} == set(types)
    project = member.get(f"/protectables/{PROJECT}").ok("protectable_type")
    assert project["name"] == PROJECT and set(project["dependent_types"]) == set(types) - {PROJECT}
    server = member.get("/protectables/OS::Nova::Server").ok("protectable_type")
    assert server["dependent_types"] == ["OS::Glance::Image", VOLUME_TYPE, NETWORK_TYPE]
    assert "OS::No::Thing" in member.get("/protectables/OS::No::Thing").fault(400, "badRequest")
    member.get("/protectables/OS::No::Thing/instances").fault(400, "badRequest")
    member.get(f"/protectables/OS::No::Thing/instances/{UNKNOWN}").fault(400, "badRequest")


def test_instances(member: Client, stranger: Client, things: Any) -> None:
    volumes, _ = things
    path = f"/protectables/{VOLUME_TYPE}/instances"
    found = member.get(path).ok("instances")
    assert {item["id"] for item in found} >= set(volumes)
    for item in found:
        assert set(item) == {"id", "type", "name", "extra_info", "dependent_resources"}
        assert item["type"] == VOLUME_TYPE and item["dependent_resources"] == []
        assert item["extra_info"] is None or isinstance(item["extra_info"], dict)
    assert member.get(f"{path}/{volumes[0]}").ok("instance")["name"] == "t0"
    member.get(f"{path}/{UNKNOWN}").fault(404, "itemNotFound")
    stranger.get(f"{path}/{volumes[0]}").fault(404, "itemNotFound")
    assert not {item["id"] for item in stranger.get(path).ok("instances")} & set(volumes)


def test_a_broken_volume_is_an_instance_like_any_other(api: Api, member: Client, things: Any) -> None:
    admin, id = api.client("sandbox-admin").cloud, things[0][0]
    assert admin is not None
    path = f"/protectables/{VOLUME_TYPE}/instances"
    for state, is_there in (("error", True), ("deleting", False), ("available", True)):
        VOLUME.action(admin, id, "os-reset_status", {"status": state})
        assert (id in [item["id"] for item in member.get(path).ok("instances")]) is is_there
        (project,) = member.get(f"/protectables/{PROJECT}/instances").ok("instances")
        assert (id in [item["id"] for item in project["dependent_resources"]]) is is_there


@pytest.mark.parametrize(
    "id", ["detail", "summary", "%2E", "%2E%2E", "..%2Flimits", "a%3Flimit=1", "%23", "%00", "%FF"]
)
@pytest.mark.parametrize("type", [VOLUME_TYPE, NETWORK_TYPE, "OS::Nova::Server", "OS::Glance::Image", PROJECT])
def test_an_id_is_no_path_into_the_cloud(member: Client, type: str, id: str) -> None:
    member.get(f"/protectables/{type}/instances/{id}").fault(404, "itemNotFound")


def test_instances_page(member: Client, things: Any) -> None:
    path = f"/protectables/{VOLUME_TYPE}/instances"
    first = member.get(path, limit=2, sort_key="id", sort_dir="asc")
    ids = [item["id"] for item in first.ok("instances")]
    assert f"{path}?" in requests.utils.unquote(first.ok("instances_links")[0]["href"])
    more = member.get(path, limit=2, sort_key="id", sort_dir="asc", marker=ids[-1])
    ids += [item["id"] for item in more.ok("instances")]
    assert ids == sorted(ids) and set(things[0]) <= set(ids)
    member.get(path, marker=UNKNOWN).fault(404, "itemNotFound")


def test_the_project_and_its_topology(member: Client, things: Any) -> None:
    (project,) = member.get(f"/protectables/{PROJECT}/instances").ok("instances")
    assert project["id"] == member.project_id
    assert {item["id"] for item in project["dependent_resources"]} >= {*things[0], things[1]}
    networks = member.get(f"/protectables/{NETWORK_TYPE}/instances").ok("instances")
    assert (networks[0]["id"], networks[0]["name"]) == (member.project_id, "Network Topology")
    assert things[1] in [item["id"] for item in networks]
    shown = member.get(f"/protectables/{NETWORK_TYPE}/instances/{member.project_id}").ok("instance")
    assert shown == networks[0]
    member.get(f"/protectables/{PROJECT}/instances/{UNKNOWN}").fault(404, "itemNotFound")
    member.get(f"/protectables/{NETWORK_TYPE}/instances/{UNKNOWN}").fault(404, "itemNotFound")


@pytest.mark.parametrize("text", ["{'vendor': 'x'}", '{"vendor": "x"}', "{}"])
def test_parameters_of_instances_are_dictionaries(member: Client, text: str) -> None:
    member.get(f"/protectables/{VOLUME_TYPE}/instances", parameters=text).ok("instances")


@pytest.mark.parametrize("text", [
    "[]", "seven", "{'region_name': 'Elsewhere'}", "{" * 5000, "__import__('os')", r"{'region_name': '\ud800'}",
    "{'region_name': 0x" + "f" * 5000 + "}",
])  # fmt: skip
def test_other_parameters_are_refused(member: Client, text: str) -> None:
    reply = member.get(f"/protectables/{VOLUME_TYPE}/instances", parameters=text)
    assert "parameters" in reply.fault(400, "badRequest")


def test_the_versions_need_no_token(api: Api) -> None:
    response = requests.get(f"{api.url}/", headers={"X-Forwarded-Host": "karbor.example.org"}, timeout=20)
    assert response.status_code == 300
    (version,) = response.json()["versions"]
    assert (version["id"], version["status"]) == ("v1.0", "CURRENT")
    assert version["links"] == [{"rel": "self", "href": "http://karbor.example.org/v1/"}]
    assert response.headers["X-Openstack-Request-Id"].startswith("req-")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/healthcheck", "/healthcheck/"])
def test_health_needs_no_token(api: Api, method: str, path: str) -> None:
    response = requests.request(method, api.url + path, timeout=20)
    assert (response.status_code, response.content) == (200, b'{"status": "ok"}' if method == "GET" else b"")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nonsense"), ("PATCH", "/plans"), ("PUT", "/plans"), ("DELETE", "/plans"), ("OPTIONS", "/plans"),
        ("POST", f"/plans/{UNKNOWN}/action"), ("POST", f"/plans/{UNKNOWN}"), ("PUT", f"/restores/{UNKNOWN}"),
        ("GET", "/quotas"), ("POST", "/os-services"), ("DELETE", "/providers"), ("BREW", "/plans"), ("TRACE", "/plans"),
    ],
)  # fmt: skip
def test_what_is_no_route_is_not_found(member: Client, method: str, path: str) -> None:
    member.ask(method, path, {}).fault(404, "itemNotFound")


def test_a_version_alone_is_not_found(api: Api, member: Client) -> None:
    for path in ("/v1", "/v2", f"/v1/{member.project_id}"):
        response = requests.get(api.url + path, headers={"X-Auth-Token": member.token}, timeout=20)
        assert response.status_code == 404, path
    for path in ("/v1", "/v1/"):
        assert requests.get(api.url + path, timeout=20).status_code == 404, path
