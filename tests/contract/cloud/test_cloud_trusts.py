"""Trusts: how somebody lets another act for him, until he ends it or its time is over."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from ground import Ground, refused
from keystoneauth1 import exceptions as ksa
from keystoneauth1.identity.v3 import Password
from keystoneauth1.session import Session

from karbor.cloud.connection import Cloud
from karbor.model.errors import Gone, NotNow

TRUSTS = "/OS-TRUST/trusts"


def moment(seconds: float) -> str:
    """So many seconds from now."""
    then = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(seconds=seconds)
    return then.isoformat(timespec="microseconds") + "Z"


def trust(cloud: Cloud, trustee: Cloud, **more: Any) -> Any:
    """Let another user act for the member, with all his roles."""
    roles = [{"id": id} for id in cloud._session.auth.get_access(cloud._session).role_ids]
    parties = {"trustor_user_id": cloud.user_id, "trustee_user_id": trustee.user_id, "project_id": cloud.project_id}
    return cloud.post("identity", TRUSTS, {"trust": {**parties, "impersonation": True, "roles": roles, **more}})[
        "trust"
    ]


def acting(trustee: Cloud, id: str) -> Session:
    """The trustee's session with a trust."""
    auth = trustee._config.config["auth"]
    user = {key: auth[key] for key in ("username", "password", "user_domain_name", "user_domain_id") if key in auth}
    return Session(Password(trustee.auth_url, **user, trust_id=id), verify=trustee._session.verify)


def lists(cloud: Cloud, **party: str) -> set[str]:
    return {one["id"] for one in cloud.get("identity", TRUSTS, params=party)["trusts"]}


def used_in_time(cloud: Cloud, trustee: Cloud) -> tuple[Any, Session]:
    """A trust of a few seconds, and the trustee's session, which has logged in with it."""
    for seconds in (5, 20, 80):
        end = moment(seconds)
        try:
            made = trust(cloud, trustee, expires_at=end)
            session = acting(trustee, made["id"])
            session.get_token()
        except (NotNow, ksa.Unauthorized):
            assert end[:19] < moment(0), "refused before its end"
        else:
            return made, session
    raise AssertionError("no login was over before the trust ended")


@pytest.fixture
def short(ground: Ground, other: Cloud) -> Iterator[tuple[Any, Session]]:
    """What `used_in_time` makes; the trust no longer lives in the end."""
    made, session = used_in_time(ground.cloud, other)
    yield made, session
    ground.until(lambda: made["expires_at"] < moment(0))


def test_a_trust_ends_by_itself(ground: Ground, other: Cloud, short: tuple[Any, Session]) -> None:
    made, session = short
    headers = {"X-Auth-Token": session.get_token()}
    assert session.get_user_id() == ground.cloud.user_id
    assert made["expires_at"].endswith(".000000Z"), "whole seconds"
    ground.until(lambda: made["expires_at"] < moment(-1))
    session.invalidate()
    with pytest.raises(ksa.Unauthorized):
        session.get_token()
    with refused(404, Gone):
        ground.cloud.get("identity", f"{TRUSTS}/{made['id']}")
    with refused(404, Gone):
        ground.cloud.delete("identity", f"{TRUSTS}/{made['id']}")
    assert made["id"] in lists(ground.cloud, trustor_user_id=ground.cloud.user_id), "an operator flushes them"
    answer = ground.cloud.send("GET", "volume", "/volumes", authenticated=False, headers=headers)
    assert answer.status_code == 200, "a token that was given before lives on"


def test_a_trust_may_end_in_a_hundred_years_and_is_known_by_that_second(ground: Ground, other: Cloud) -> None:
    end = moment(100 * 365.25 * 86400)[:19]
    made = trust(ground.cloud, other, expires_at=f"{end}.000000Z")
    try:
        listed = other.get("identity", TRUSTS, params={"trustee_user_id": other.user_id})["trusts"]
        parties = [
            (one["trustor_user_id"], one["project_id"]) for one in listed if (one["expires_at"] or "")[:19] == end
        ]
        assert parties == [(ground.cloud.user_id, ground.cloud.project_id)]
        assert acting(other, made["id"]).get_user_id() == ground.cloud.user_id
    finally:
        ground.cloud.delete("identity", f"{TRUSTS}/{made['id']}")


def test_an_end_in_the_past_is_refused(ground: Ground, other: Cloud) -> None:
    with refused(400, words="expected format"):
        trust(ground.cloud, other, expires_at="tomorrow")
    with refused(400, NotNow, "must not be before now"):
        trust(ground.cloud, other, expires_at=moment(-60))


def test_a_trustee_sees_his_trusts_and_ends_one_only_with_its_own_token(ground: Ground, other: Cloud) -> None:
    made = trust(ground.cloud, other, expires_at=moment(60))
    path = f"{TRUSTS}/{made['id']}"
    try:
        assert made["id"] in lists(other, trustee_user_id=other.user_id)
        with refused(403):
            other.delete("identity", path)
        session = acting(other, made["id"])
        assert session.delete(other.auth_url.rstrip("/") + path).status_code == 204
        assert made["id"] not in lists(other, trustee_user_id=other.user_id)
    finally:
        if made["id"] in lists(ground.cloud, trustor_user_id=ground.cloud.user_id):
            ground.cloud.delete("identity", path)
