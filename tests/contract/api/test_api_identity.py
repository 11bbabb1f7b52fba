"""Tokens and roles: who is let in, and what the roles of a project may."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import falcon
import pytest
import requests
from api_client import NOOP, UNKNOWN, Api, Belongings, Client, plan_body
from oslo_config import cfg
from oslo_policy.policy import Enforcer

from karbor.api import policy
from karbor.api.app import ROUTES
from karbor.cloud.connection import Cloud
from karbor.model.caller import Caller
from karbor.model.errors import Forbidden, Invalid
from karbor.sandbox.tokens import digest
from karbor.testing.rig import Rig

RULES = {rule.name for rule in policy.list_rules() if getattr(rule, "operations", None)}


@pytest.fixture
def fresh_token(member: Client) -> str:
    """A token of the member that nobody has used yet."""
    assert member.cloud is not None
    session = member.cloud._session
    return str(session.auth.get_auth_ref(session).auth_token)


def test_without_a_good_token_nobody_is_let_in(api: Api, member: Client) -> None:
    for headers in (
        {},
        {"X-Auth-Token": ""},
        {"X-Auth-Token": "gAAAAnonsense"},
        {"X-Auth-Token": "ü".encode().decode("latin-1")},
    ):
        for route, methods in ROUTES.items():
            path = f"{api.url}/v1/{member.project_id}{route}".replace("{", "").replace("}", "")
            response = requests.request(next(iter(methods)), path, headers=headers, timeout=20)
            assert response.status_code == 401, (route, response.text)
            assert response.headers["X-Openstack-Request-Id"].startswith("req-")
            assert "www-authenticate" in response.headers


def test_headers_of_the_middleware_cannot_be_forged(api: Api, member: Client, stranger: Client) -> None:
    forged = {
        "X-Project-Id": member.project_id,
        "X-Roles": "admin",
        "X-User-Id": "root",
        "X-Identity-Status": "Confirmed",
    }
    headers = {"X-Auth-Token": stranger.token, **forged}
    url = f"{api.url}/v1/{member.project_id}/plans"
    assert requests.get(url, headers=headers, timeout=20).status_code == 400
    assert requests.get(url, headers=forged, timeout=20).status_code == 401


def test_a_token_that_has_run_out_is_refused(api: Api, member: Client, rig: Rig, fresh_token: str) -> None:
    with rig.sandbox.state.lock:
        record = rig.sandbox.state.table("token")[digest(fresh_token)]
        record["expires"], record["expires_at"] = 0.0, "1970-01-01T00:00:00.000000Z"
        rig.sandbox.state.save("token", record)
    response = requests.get(
        f"{api.url}/v1/{member.project_id}/plans", headers={"X-Auth-Token": fresh_token}, timeout=20
    )
    assert response.status_code == 401


def end(rig: Rig, token: str) -> None:
    """Let a token's time be over."""
    with rig.sandbox.state.lock:
        record = rig.sandbox.state.table("token")[digest(token)]
        record["expires"], record["expires_at"] = time.time() - 1, "2001-01-01T00:00:00.000000Z"
        rig.sandbox.state.save("token", record)


def test_a_service_vouches_for_a_token_that_has_run_out(
    api: Api, member: Client, stranger: Client, belongings: Belongings, rig: Rig, fresh_token: str
) -> None:
    end(rig, fresh_token)
    client = Client(api.url, member.project_id, member.user_id, fresh_token)
    service = str(Cloud.connect("sandbox-service", state=rig.folder)._session.get_token())
    vouched = {"X-Service-Token": service}
    assert belongings.plan in {plan["id"] for plan in client.ask("GET", "/plans", headers=vouched).ok("plans")}
    made = client.ask("POST", "/plans", plan_body(), headers=vouched).ok("plan")["id"]
    member.delete(f"/plans/{made}").ok()
    elsewhere = Client(api.url, stranger.project_id, member.user_id, fresh_token)
    assert elsewhere.ask("GET", "/plans", headers=vouched).status == 400, "it is for the caller's project alone"
    assert client.ask("GET", "/os-services", headers=vouched).status == 403, "and with the caller's roles alone"
    path = f"/providers/{NOOP}/checkpoints"
    body = {"checkpoint": {"plan_id": belongings.plan}}
    assert client.ask("POST", path, body, headers=vouched).status == 401, "Keystone makes no trust with it"
    for word in (stranger.token, "gAAAAnonsense", fresh_token):
        assert client.ask("GET", "/plans", headers={"X-Service-Token": word}).status == 401, "no role, or no token"


def test_an_application_credential_works_too(api: Api, member: Client, belongings: Belongings, rig: Rig) -> None:
    assert member.cloud is not None
    path = f"/users/{member.user_id}/application_credentials"
    address = f"{rig.sandbox.url}/identity/v3"
    mine = {"X-Auth-Token": member.token}
    body = {"application_credential": {"name": "api", "roles": [{"name": "member"}]}}
    made = requests.post(address + path, json=body, headers=mine, timeout=20).json()["application_credential"]
    login = {
        "methods": ["application_credential"],
        "application_credential": {"id": made["id"], "secret": made["secret"]},
    }
    answer = requests.post(f"{address}/auth/tokens", json={"auth": {"identity": login}}, timeout=20)
    client = Client(api.url, member.project_id, member.user_id, answer.headers["X-Subject-Token"])
    checkpoints = f"/providers/{plan_body()['plan']['provider_id']}/checkpoints"
    id = client.post(checkpoints, {"checkpoint": {"plan_id": belongings.plan}}).ok("checkpoint")["id"]
    assert client.ended(f"{checkpoints}/{id}", "checkpoint")["status"] == "available"
    requests.delete(f"{address}{path}/{made['id']}", headers=mine, timeout=20)


Allows = Callable[..., bool]


def configured(folder: Path, text: str = "", rules: str = "") -> cfg.ConfigOpts:
    """A configuration with a policy file."""
    (folder / "policy.yaml").write_text(rules)
    (folder / "karbor.conf").write_text(f"[oslo_policy]\npolicy_file = {folder}/policy.yaml\n{text}\n")
    conf = cfg.ConfigOpts()
    conf([], project="karbor", default_config_files=[str(folder / "karbor.conf")])
    return conf


def asking(roles: str, enforcer: Enforcer) -> falcon.Request:
    """A request of somebody with these roles in the project `mine`."""
    asked = falcon.Request({"wsgi.input": None, "REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.errors": None})
    asked.context.caller = Caller("me", "mine", frozenset(roles.split()), (), "token")
    asked.context.enforcer = enforcer
    return asked


@pytest.fixture(params=[True, False], ids=["new defaults", "with the old ones"])
def defaults(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[bool, Allows]:
    """An enforcer with or without the rules of earlier versions, as a function of roles, rule and owner."""
    enforcer = policy.make_enforcer(configured(tmp_path, f"enforce_new_defaults = {request.param}"))

    def allows(roles: str, rule: str, *, owner: str = "mine") -> bool:
        return policy.allows(asking(roles, enforcer), rule, project_id=owner)

    return request.param, allows


def test_the_roles_of_a_project(defaults: tuple[bool, Allows]) -> None:
    new, allows = defaults
    reading = {
        rule for rule in RULES if rule.endswith((":get", ":get_all", ":list", "_get", "_get_all", ":get_default"))
    }
    admins = {
        "quota:update",
        "quota:delete",
        "quota_class:update",
        "service:get_all",
        "service:update",
        "quota_class:get",
    }
    for rule in sorted(RULES):
        assert allows("admin", rule, owner="theirs"), rule
        for roles in ("member", "manager", "member reader"):
            assert allows(roles, rule) == (rule not in admins), (roles, rule)
            assert not allows(roles, rule, owner="theirs"), (roles, rule)
        old = not new and rule not in admins
        assert allows("reader", rule) == (old or (rule in reading and rule not in admins)), rule
        assert allows("auditor", rule) == old, rule


def test_a_refusal_names_the_rule(tmp_path: Path) -> None:
    with pytest.raises(Forbidden, match="plan:create"):
        policy.authorize(asking("reader", policy.make_enforcer(configured(tmp_path))), "plan:create")


@pytest.mark.parametrize("new", [True, False], ids=["new defaults", "with the old ones"])
def test_a_rule_that_refers_to_none_opens_nothing(tmp_path: Path, new: bool) -> None:
    conf = configured(tmp_path, f"enforce_new_defaults = {new}", 'plan:create: "rule:context_is_admin"\n')
    enforcer = policy.make_enforcer(conf)
    (tmp_path / "policy.yaml").write_text('plan:create: "rule:project_memeber"\n')  # a slip while the API runs
    os.utime(tmp_path / "policy.yaml", (2**31 - 1, 2**31 - 1))
    assert not policy.allows(asking("member", enforcer), "plan:create")
    assert policy.allows(asking("admin", enforcer), "plan:create")


@pytest.mark.parametrize("rule", ["rule:project_memeber", "rule:plan:create"])
def test_a_rule_that_refers_to_none_or_itself_is_told_at_the_start(tmp_path: Path, rule: str) -> None:
    with pytest.raises(Invalid, match=r"policy\.yaml.*plan:create"):
        policy.make_enforcer(configured(tmp_path, rules=f'plan:create: "{rule}"\n'))


@pytest.mark.parametrize("text", ['plan:create: "role:admin', "- plan:create", "plan:create", "plan:create: 7", "\t"])
def test_a_policy_file_that_is_none_is_told_at_the_start(tmp_path: Path, text: str) -> None:
    with pytest.raises(Invalid, match=r"policy\.yaml: it "):
        policy.make_enforcer(configured(tmp_path, rules=text))


def test_every_rule_of_the_contract_has_a_sample() -> None:
    tool = Path(sys.executable).with_name("oslopolicy-sample-generator")
    text = subprocess.run([tool, "--namespace", "karbor"], check=True, capture_output=True, text=True).stdout
    for rule in RULES:
        assert f'"{rule}": ' in text
    assert "Intended scope(s): project" in text and "DEPRECATED" in text


def test_every_answer_has_an_id_of_its_own(member: Client) -> None:
    replies = [member.get("/plans"), member.get("/plans"), member.get("/nonsense"), member.get(f"/plans/{UNKNOWN}")]
    ids = {reply.headers["X-Openstack-Request-Id"] for reply in replies}
    assert len(ids) == len(replies)
    assert all(reply.headers["X-Compute-Request-Id"] in ids for reply in replies)


def test_no_token_is_logged(member: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="karbor"):
        member.post("/plans", plan_body(name="")).fault(400, "badRequest")
        plan: Any = member.post("/plans", plan_body()).ok("plan")
        member.delete(f"/plans/{plan['id']}").ok()
    assert caplog.records and member.token not in caplog.text
