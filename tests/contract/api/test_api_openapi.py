"""The OpenAPI document: it is valid, names every route, and says the truth of each answer, also of answers to noise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import hypothesis
import jsonschema_rs
import pytest
import requests
import schemathesis
from api_client import NOOP, Api, Belongings, Client, plan_body
from jsonschema import Draft202012Validator
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks
from schemathesis.specs.openapi.definitions import OPENAPI_31
from test_api_isolation import BODIES, WALK

from karbor.api.app import PREFIX, ROUTES
from karbor.api.openapi import document

DOCUMENT = document(PREFIX, ROUTES)
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]
NOISE = schemathesis.openapi.from_dict(DOCUMENT)


def test_the_document_is_served_without_a_token(api: Api) -> None:
    response = requests.get(f"{api.url}/openapi.json", headers={"X-Forwarded-Host": "karbor.example.org"}, timeout=20)
    assert response.status_code == 200 and response.headers["Content-Type"] == "application/json"
    assert response.json() == {**DOCUMENT, "servers": [{"url": "http://karbor.example.org"}]}


def test_the_document_is_valid() -> None:
    jsonschema_rs.validator_for(OPENAPI_31).validate(DOCUMENT)
    for schema in schemas(DOCUMENT):
        Draft202012Validator.check_schema(schema)


def test_the_document_names_every_route_and_no_other() -> None:
    methods = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
    named = {
        (name.upper(), path) for path, item in DOCUMENT["paths"].items() for name in item.keys() & methods
    }  # fmt: skip
    assert named == {(method, PREFIX + route) for method, route in WALK}
    ids = [item[name]["operationId"] for item in DOCUMENT["paths"].values() for name in item.keys() & methods]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("method", "route"), WALK, ids=str)
def test_every_route_says_what_it_takes_and_answers(method: str, route: str) -> None:
    operation = DOCUMENT["paths"][PREFIX + route][method.lower()]
    assert operation["summary"]
    assert ("requestBody" in operation) == (method in ("POST", "PUT"))
    shape = schema_of(method, route, 200)
    assert (shape is None) == (method == "DELETE" and "/checkpoints/" not in route)
    assert shape is None or shape["additionalProperties"] is False


@pytest.mark.parametrize(("method", "route"), WALK, ids=str)
def test_answers_fit(admin: Client, member: Client, belongings: Belongings, method: str, route: str) -> None:
    """An administrator and a member ask for what there is, or take away what there is not; whatever comes fits."""
    path = belongings.path(route)
    if method == "DELETE":
        path = path.replace(path.rpartition("/")[2], "99999999-2222-4333-8444-555555555555")
    sent = {**BODIES, ("PUT", "/os-services/{id}"): {"status": "enabled"}, ("PUT", "/quota_classes/{name}"): {}}
    for client in (member, admin):
        reply = client.ask(method, path, sent.get((method, route), {}) if method in ("PUT", "POST") else None)
        fits(method, route, reply.status, reply.body)
        if method == "GET" and (client is admin or not route.startswith(("/quota", "/os-services"))):
            missing = route.endswith("/instances/{id}")
            assert reply.status == (404 if missing else 200), reply.text


def test_answers_to_good_bodies_fit(member: Client) -> None:
    """What can be made, changed and taken away by a member: each answer is a success of the shape that is said."""

    def done(method: str, route: str, path: str, body: Any = None) -> Any:
        reply = member.ask(method, path, body)
        assert reply.status == 200, reply.text
        fits(method, route, 200, reply.body)
        return reply.body

    plan = done("POST", "/plans", "/plans", plan_body(("OS::Keystone::Project", member.project_id, "all")))["plan"]
    done("PUT", "/plans/{id}", f"/plans/{plan['id']}", {"plan": {"description": "changed"}})
    checkpoints = f"/providers/{NOOP}/checkpoints"
    route = "/providers/{provider_id}/checkpoints"
    made = done("POST", route, checkpoints, {"checkpoint": {"plan_id": plan["id"]}})["checkpoint"]
    member.ended(f"{checkpoints}/{made['id']}", "checkpoint")
    done("GET", f"{route}/{{id}}", f"{checkpoints}/{made['id']}")
    done("PUT", f"{route}/{{id}}", f"{checkpoints}/{made['id']}", {"os-resetState": {"state": "available"}})
    run = {"provider_id": NOOP, "checkpoint_id": made["id"], "parameters": {}}
    restore = done("POST", "/restores", "/restores", {"restore": run})["restore"]
    verification = done("POST", "/verifications", "/verifications", {"verification": run})["verification"]
    member.ended(f"/restores/{restore['id']}", "restore")
    member.ended(f"/verifications/{verification['id']}", "verification")
    done("GET", "/restores/{id}", f"/restores/{restore['id']}")
    done("GET", "/verifications/{id}", f"/verifications/{verification['id']}")
    done("DELETE", "/restores/{id}", f"/restores/{restore['id']}")
    done("DELETE", f"{route}/{{id}}", f"{checkpoints}/{made['id']}")

    properties = {"format": "crontab", "pattern": "0 3 * * *"}
    trigger = {"trigger_info": {"name": "at night", "type": "time", "properties": properties}}
    trigger_id = done("POST", "/triggers", "/triggers", trigger)["trigger_info"]["id"]
    done("PUT", "/triggers/{id}", f"/triggers/{trigger_id}", {"trigger_info": {"name": "later"}})
    definition = {"provider_id": NOOP, "plan_id": plan["id"]}
    body = {"name": "n", "operation_type": "protect", "trigger_id": trigger_id, "operation_definition": definition}
    route = "/scheduled_operations"
    scheduled = done("POST", route, route, {"scheduled_operation": body})["scheduled_operation"]["id"]
    done("PUT", f"{route}/{{id}}", f"{route}/{scheduled}", {"scheduled_operation": {"enabled": False}})
    fits("DELETE", "/plans/{id}", 409, member.ask("DELETE", f"/plans/{plan['id']}").body)
    fits("DELETE", "/triggers/{id}", 424, member.ask("DELETE", f"/triggers/{trigger_id}").body)
    done("DELETE", f"{route}/{{id}}", f"{route}/{scheduled}")
    done("DELETE", "/triggers/{id}", f"/triggers/{trigger_id}")
    done("DELETE", "/plans/{id}", f"/plans/{plan['id']}")


def test_answers_to_quotas_and_without_a_token_fit(api: Api, admin: Client, stranger: Client) -> None:
    theirs = f"/quotas/{stranger.project_id}"
    fits("PUT", "/quotas/{id}", 200, admin.put(theirs, {"quota": {"plans": 60}}).ok())
    fits("DELETE", "/quotas/{id}", 200, admin.delete(theirs).ok())
    nobody = Client(api.url, admin.project_id, "", "wrong")
    reply = nobody.get("/plans")
    assert reply.status == 401
    fits("GET", "/plans", 401, reply.body)


@pytest.fixture(scope="module")
def noisy(api: Api) -> Iterator[Client]:
    """A member who takes away again what he and noise have made."""
    client = api.client("sandbox")
    lists = {"/scheduled_operations": "operations", "/triggers": "triggers", "/plans": "plans"}
    before = {path: ids(client, path, key) for path, key in lists.items()}
    yield client
    for path, key in lists.items():
        for id in ids(client, path, key) - before[path]:
            client.delete(f"{path}/{id}").ok()


@pytest.fixture(scope="module")
def at_risk(noisy: Client) -> Belongings:
    """What noise may change: other tests rely on the things that they share."""
    return Belongings.of(noisy)


@NOISE.parametrize()
@hypothesis.settings(max_examples=15, suppress_health_check=list(hypothesis.HealthCheck))
def test_noise(case: schemathesis.Case, api: Api, noisy: Client, at_risk: Belongings) -> None:
    """Whatever a member sends, good or bad, the service does not fail at, and answers as it says."""
    case.path_parameters["project_id"] = noisy.project_id
    if case.method != "DELETE":
        there_is(case, at_risk)
    case.call_and_validate(base_url=api.url, headers={"X-Auth-Token": noisy.token}, checks=CHECKS, timeout=20)


def there_is(case: schemathesis.Case, belongings: Belongings) -> None:
    """Let most of what is named well be something that there is: else a request would not get beyond that."""
    route = case.path.removeprefix(PREFIX)
    pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", route)
    known = re.fullmatch(pattern, belongings.path(route)).groupdict()
    for name, id in known.items():
        if name == "type":
            case.path_parameters[name] = "OS::Cinder::Volume"
        elif re.fullmatch("[-0-9a-zA-Z]{2,}", str(case.path_parameters[name])):
            case.path_parameters[name] = id
    named = {
        "provider_id": NOOP, "plan_id": belongings.plan, "checkpoint_id": belongings.checkpoint,
        "trigger_id": belongings.trigger,
    }  # fmt: skip
    case.body = with_named(case.body, named)


def with_named(value: Any, named: dict[str, str]) -> Any:
    """A body with these ids where it has any in their place."""
    if not isinstance(value, dict):
        return value
    return {
        key: named[key] if key in named and isinstance(item, str) else with_named(item, named)
        for key, item in value.items()
    }


def ids(client: Client, path: str, key: str) -> set[str]:
    found: set[str] = set()
    query: dict[str, str] = {}
    while page := client.get(path, **query).ok(key):
        found |= {item["id"] for item in page}
        query = {"marker": page[-1]["id"]}
    return found


def schemas(value: Any) -> Iterator[Any]:
    """Every schema of the document."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "schema":
                yield item
            else:
                yield from schemas(item)
    elif isinstance(value, list):
        for item in value:
            yield from schemas(item)


def schema_of(method: str, route: str, status: int) -> Any:
    """The shape of the answer with a status, None where it has no body; it has to be one that is said."""
    answer = DOCUMENT["paths"][PREFIX + route][method.lower()]["responses"][str(status)]
    if "$ref" in answer:
        answer = DOCUMENT["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    return answer["content"]["application/json"]["schema"] if "content" in answer else None


def fits(method: str, route: str, status: int, body: Any) -> None:
    schema = schema_of(method, route, status)
    if schema is None:
        assert not body
    else:
        Draft202012Validator(schema).validate(body)
