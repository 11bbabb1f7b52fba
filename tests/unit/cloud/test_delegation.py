"""Acting for a caller: with his rights and no others, for as long as he has them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from karbor.cloud.connection import Cloud
from karbor.cloud.delegation import Delegation
from karbor.model.caller import Caller
from karbor.model.errors import Invalid, Refused, Unauthorized, Unclear
from karbor.sandbox import Sandbox
from karbor.sandbox.identity import assign

SERVICE_USER = "sandbox-b"
"""A user without a role in the project of the caller."""


class Keystone:
    """The sandbox with a service user's delegation, and a caller who logs in by himself."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.password = re.findall(r"password: (\w+)", sandbox.clouds_file.read_text())[0]
        self.delegation = self.delegate_as(self.password)

    def delegate_as(self, password: str, **more: Any) -> Delegation:
        options = {"auth_url": f"{self.sandbox.url}/identity/v3", "region": "sandbox", "project_name": SERVICE_USER}
        return Delegation(**{**options, "username": SERVICE_USER, "password": password, **more})

    def own(self, user: str = "sandbox", **more: Any) -> Cloud:
        credential = {"kind": "password", "username": user, "password": self.password, "project_name": user}
        return self.delegation.by_credential({**credential, **more})

    def caller(self, cloud: Cloud | None = None, *, delegated: bool = False) -> Caller:
        cloud = cloud or self.own()
        access = cloud._session.auth.get_access(cloud._session)
        roles, role_ids, token = frozenset(access.role_names), tuple(access.role_ids), access.auth_token
        return Caller(cloud.user_id, cloud.project_id, roles, role_ids, token, delegated=delegated)

    def trusts(self) -> list[Any]:
        return list(self.sandbox.state.table("trust").values())

    def tokens(self) -> list[Any]:
        return list(self.sandbox.state.table("token").values())


@pytest.fixture
def keystone(tmp_path: Path) -> Iterator[Keystone]:
    with Sandbox(tmp_path / "state") as sandbox:
        yield Keystone(sandbox)


def make_volume(cloud: Cloud) -> Any:
    return cloud.post("volume", "/volumes", {"volume": {"size": 1}})["volume"]


def test_a_trust_has_the_rights_of_the_caller_and_makes_things_his(keystone: Keystone) -> None:
    caller = keystone.caller()
    credential = keystone.delegation.delegate(caller)
    assert credential.keys() == {"kind", "trust_id", "project_id"}
    (trust,) = keystone.trusts()
    assert (trust["trustor_user_id"], trust["project_id"]) == (caller.user_id, caller.project_id)
    assert (trust["impersonation"], trust["role_names"]) == (True, ["member", "reader"])
    with pytest.raises(Unauthorized):
        keystone.own(SERVICE_USER, project_name="sandbox")  # by himself the service user is not let in there
    cloud = keystone.delegation.by_credential(credential)
    assert (cloud.name, cloud.region) == ("127.0.0.1", "sandbox")
    assert (cloud.user_id, cloud.project_id) == (caller.user_id, caller.project_id)
    assert make_volume(cloud)["user_id"] == caller.user_id


def test_a_trust_ends_by_being_revoked_and_once_more_is_no_error(keystone: Keystone) -> None:
    credential = keystone.delegation.delegate(keystone.caller())
    for _ in range(2):
        keystone.delegation.revoke(credential)
        assert keystone.trusts() == []
    with pytest.raises(Unauthorized, match=r"logging in .* was refused"):
        keystone.delegation.by_credential(credential)


def test_a_trust_ends_by_itself_after_some_days_or_when_it_is_told_to(keystone: Keystone) -> None:
    credential = keystone.delegation.delegate(keystone.caller())
    keystone.delegation.delegate(keystone.caller(), expires_at="2199-12-31T23:59:58.000000")
    ends = [trust["expires_at"] for trust in keystone.trusts()]
    assert keystone.trusts()[0]["ends"] - time.time() == pytest.approx(7 * 86400, abs=60)
    assert ends[1:] == ["2199-12-31T23:59:58.000000Z"]
    for trust in keystone.trusts():
        trust["ends"] = time.time()
    with pytest.raises(Unauthorized):
        keystone.delegation.by_credential(credential)
    keystone.delegation.revoke(credential)  # there is nothing left to end


def test_a_trust_of_which_nobody_knows_the_id_is_found_by_its_end(keystone: Keystone) -> None:
    caller = keystone.caller()
    moments = [f"2199-12-31T23:59:{second}.000000" for second in ("58", "59")]
    first, _, _ = (keystone.delegation.delegate(caller, expires_at=moment) for moment in [*moments, None])
    sought = {"user_id": caller.user_id, "project_id": caller.project_id, "expires_at": moments[0]}
    assert keystone.delegation.find(**sought) == [first]
    for other in ({"user_id": "u"}, {"project_id": "p"}, {"expires_at": "2199-12-31T23:59:57.000000"}):
        assert keystone.delegation.find(**{**sought, **other}) == []
    keystone.delegation.revoke(first)
    assert keystone.delegation.find(**sought) == []


def test_a_trust_that_cannot_be_revoked_is_an_error(keystone: Keystone) -> None:
    credential = keystone.delegation.delegate(keystone.caller())
    with pytest.raises(Unauthorized, match="service's settings"):
        keystone.delegate_as("wrong").revoke(credential)
    assert len(keystone.trusts()) == 1


def test_a_caller_who_lost_his_role_takes_it_from_his_trusts(keystone: Keystone) -> None:
    caller = keystone.caller()
    credential = keystone.delegation.delegate(caller)
    assign(keystone.sandbox.state, caller.project_id, caller.user_id, [])
    with pytest.raises(Unauthorized):
        keystone.delegation.by_credential(credential)


def test_an_application_credential_logs_in_and_its_token_is_used_as_it_is(keystone: Keystone) -> None:
    own = keystone.own()
    path = f"/users/{own.user_id}/application_credentials"
    made = own.post("identity", path, {"application_credential": {"name": "of the caller"}})["application_credential"]
    cloud = keystone.own(kind="application_credential", id=made["id"], secret=made["secret"])
    assert (cloud.user_id, cloud.project_id) == (own.user_id, own.project_id)
    with pytest.raises(Refused, match="Delegated tokens cannot manage trusts"):
        keystone.delegation.delegate(keystone.caller(cloud))
    credential = keystone.delegation.delegate(keystone.caller(cloud, delegated=True))
    assert credential["kind"] == "token"
    count = len(keystone.tokens())
    same = keystone.delegation.by_credential(credential)
    assert make_volume(same)["user_id"] == own.user_id
    keystone.delegation.revoke(credential)
    assert make_volume(same)["user_id"] == own.user_id  # it is not the service's to end
    assert (len(keystone.tokens()), keystone.trusts()) == (count, [])


def test_a_token_that_has_run_out_is_unauthorized_from_then_on(keystone: Keystone) -> None:
    caller = keystone.caller()
    cloud = keystone.delegation.by_token(caller.token, caller.project_id)
    make_volume(cloud)
    for record in keystone.tokens():
        record["expires"] = 0.0
    for call in (
        lambda: make_volume(cloud),
        lambda: cloud.get("network", "/networks"),
        lambda: keystone.delegation.by_token(caller.token, caller.project_id),
        lambda: keystone.delegation.delegate(caller),
    ):
        with pytest.raises(Unauthorized) as error:
            call()
        assert caller.token not in str(error.value)


def test_the_token_of_a_trust_is_renewed(keystone: Keystone) -> None:
    cloud = keystone.delegation.by_credential(keystone.delegation.delegate(keystone.caller()))
    make_volume(cloud)
    for record in keystone.tokens():
        record["expires"] = 0.0
    make_volume(cloud)


def test_a_password_leads_into_another_cloud_and_project(keystone: Keystone, tmp_path: Path) -> None:
    with Sandbox(tmp_path / "other") as other:
        there = Keystone(other)
        credential = {
            "kind": "password", "username": "sandbox", "password": there.password, "project_name": "sandbox",
            "auth_url": f"{other.url}/identity/v3/",
        }  # fmt: skip
        cloud = keystone.delegation.by_credential(credential)
        assert cloud.auth_url == f"{other.url}/identity/v3"
        assert make_volume(cloud)["id"] in other.state.table("volume")
        with pytest.raises(Unauthorized) as error:
            keystone.delegation.by_credential({**credential, "password": "of somebody else"})
        assert "of somebody else" not in str(error.value)


def test_what_cannot_be_a_login_is_told(keystone: Keystone) -> None:
    caller = keystone.caller()
    with pytest.raises(Invalid, match="is for project"):
        keystone.delegation.by_token(caller.token, "another")
    with pytest.raises(Invalid, match="no credential of kind 'wish'"):
        keystone.delegation.by_credential({"kind": "wish"})
    nowhere = keystone.delegate_as(keystone.password, auth_url="http://127.0.0.1:9/v3")
    for call in (lambda: nowhere.delegate(caller), lambda: nowhere.by_credential({"kind": "trust", "trust_id": "x"})):
        with pytest.raises(Unclear, match="no answer"):
            call()
