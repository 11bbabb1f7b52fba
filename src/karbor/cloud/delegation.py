"""Acting for somebody else: logins with what a caller handed over, and trusts that outlive the caller's request."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any

from keystoneauth1 import exceptions as ksa
from keystoneauth1.access import AccessInfo, AccessInfoV3
from keystoneauth1.identity.access import AccessInfoPlugin
from keystoneauth1.identity.base import BaseIdentityPlugin
from keystoneauth1.identity.v3 import ApplicationCredential, Password
from keystoneauth1.service_token import ServiceTokenAuthWrapper
from keystoneauth1.session import Session

from karbor import clock
from karbor.cloud.access import access_of, check_authorities, set_up, why_silent
from karbor.cloud.answers import meaning, said
from karbor.cloud.connection import Cloud
from karbor.model.caller import Caller
from karbor.model.errors import Gone, Invalid, Unauthorized, Unclear

TIMEOUT = 60.0
"""Seconds that one connect or one read of a request may take."""

DAYS = 7
"""Days that a trust for one operation lives at most; the operation may wait for its turn, and runs for long."""


class Delegation:
    """The service user's door to Keystone. What it opens has the rights of the one whom it acts for, and no others.

    The service user's own rights are used for one thing: he is the trustee of trusts. With `vouch` he also sends a
    token of his own beside a caller's, which lets it be used for some time after it has run out, with the caller's
    rights (`keystoneauth1.service_token`). `cafile` has the certificates of the authorities
    that are trusted in place of the system's; Invalid where it cannot be read. Every login raises Unauthorized (wrong
    or run out), Invalid (cannot be a login, or without a project) or Unclear (no answer).
    """

    def __init__(
        self, *, auth_url: str, region: str = "", username: str, password: str, project_name: str,
        user_domain_name: str = "Default", project_domain_name: str = "Default", cafile: str | None = None,
        interface: str = "public", vouch: bool = False,
    ) -> None:  # fmt: skip
        self._auth_url = auth_url.rstrip("/")
        self._region = region
        self._user: dict[str, Any] = {"username": username, "password": password, "user_domain_name": user_domain_name}
        self._own_project: dict[str, Any] = {"project_name": project_name, "project_domain_name": project_domain_name}
        if cafile is not None:
            check_authorities(cafile)
        self._cafile = cafile
        self._interface = interface
        self._vouch = vouch

    @property
    def auth_url(self) -> str:
        return self._auth_url

    @property
    def region(self) -> str:
        return self._region

    def by_token(self, token: str, project_id: str) -> Cloud:
        """The caller's own token, as it is: never renewed, and Unauthorized when it has run out.

        Raises Invalid where it is for another project.
        """
        session = self._session()
        access = self._read(session, token)
        if access.project_id != project_id:
            raise Invalid(f"the token is for project {access.project_id}, not for project {project_id}")
        session.auth = AccessInfoPlugin(access, auth_url=self._auth_url)
        if self._vouch:
            session.auth = ServiceTokenAuthWrapper(session.auth, self._own_auth)
        return self._cloud(session, access)

    def by_credential(self, credential: Mapping[str, Any]) -> Cloud:
        """A login with any form of credential; one that is no token is renewed for as long as it is good.

        `kind` says which: `trust` (trust_id), `token` (token, project_id), `application_credential` (id, secret), or
        `password` (username, password, user_domain_name?, project_name? or project_id?, auth_url?), where an
        `auth_url` leads into another cloud.
        """
        if credential["kind"] == "token":
            return self.by_token(credential["token"], credential["project_id"])
        auth_url = str(credential.get("auth_url") or self._auth_url).rstrip("/")
        words = f"the {credential['kind'].replace('_', ' ')} that was given"
        return self._cloud(*self._log_in(self._plugin(credential, auth_url), words, auth_url), auth_url)

    def delegate(self, caller: Caller, *, expires_at: str | None = None) -> dict[str, Any]:
        """What outlives the request and has the caller's rights in his project, all of them and no others.

        A trust made with his token, which ends by itself at a moment in UTC, by default after `DAYS` days: one that is
        made and not recorded, because the process dies in between, gives nobody rights for ever. Where Keystone makes
        none for it (`caller.delegated`) the token itself, for as long as it lives. Raises CloudError.
        """
        if caller.delegated:
            return {"kind": "token", "token": caller.token, "project_id": caller.project_id}
        trust = {
            "trustor_user_id": caller.user_id,
            "trustee_user_id": self._own_id,
            "project_id": caller.project_id,
            "impersonation": True,
            "roles": [{"id": id} for id in caller.role_ids],
            "expires_at": (expires_at or clock.days_ahead(DAYS)) + "Z",
        }
        answer = self._ask(self._shared, "POST", "/OS-TRUST/trusts", caller.token, {"trust": trust})
        return {"kind": "trust", "trust_id": answer["trust"]["id"], "project_id": caller.project_id}

    def find(self, *, user_id: str, project_id: str, expires_at: str) -> list[dict[str, Any]]:
        """The trusts of a user for the service's in a project that end at this second. Raises CloudError."""
        access = self._own_access()
        path = f"/OS-TRUST/trusts?trustee_user_id={access.user_id}"
        wanted = (user_id, project_id, expires_at[:19])
        return [
            {"kind": "trust", "trust_id": one["id"], "project_id": project_id}
            for one in self._ask(self._shared, "GET", path, access.auth_token or "")["trusts"]
            if (one["trustor_user_id"], one["project_id"], (one["expires_at"] or "")[:19]) == wanted
        ]

    def revoke(self, credential: Mapping[str, Any]) -> None:
        """End a trust, with a token of the trust itself; other forms are their owner's to end. Gone already is good.

        Raises CloudError.
        """
        if credential["kind"] != "trust":
            return
        try:
            session, access = self._log_in(self._plugin(credential, self._auth_url), "the trust")
            with suppress(Gone):
                self._ask(session, "DELETE", f"/OS-TRUST/trusts/{credential['trust_id']}", access.auth_token or "")
        except Unauthorized:
            self._own_access()  # the service user himself is let in: so it is the trust that does not live any more

    @cached_property
    def _shared(self) -> Session:
        """For calls with a caller's token, whose connections stay open from one request to the next."""
        return self._session()

    @cached_property
    def _own_id(self) -> str:
        return str(self._own_access().user_id)

    @property
    def _own_auth(self) -> Password:
        return Password(self._auth_url, **self._user, **self._own_project)

    def _own_access(self) -> AccessInfo:
        return self._log_in(self._own_auth, "the service's settings")[1]

    def _log_in(self, auth: BaseIdentityPlugin, words: str, auth_url: str = "") -> tuple[Session, AccessInfo]:
        session = self._session(auth)
        return session, access_of(auth_url or self._auth_url, session, auth, words)

    def _plugin(self, credential: Mapping[str, Any], auth_url: str) -> BaseIdentityPlugin:
        match credential["kind"]:
            case "trust":
                return Password(auth_url, **self._user, trust_id=credential["trust_id"])
            case "application_credential":
                return ApplicationCredential(auth_url, credential["secret"], application_credential_id=credential["id"])
            case "password":
                domain = credential.get("user_domain_name") or "Default"
                project: dict[str, Any] = {
                    key: credential[key] for key in ("project_id", "project_name") if credential.get(key)
                }
                if "project_name" in project:
                    project["project_domain_name"] = credential.get("project_domain_name") or domain
                return Password(
                    auth_url, username=credential["username"], password=credential["password"],
                    user_domain_name=domain, **project,
                )  # fmt: skip
        raise Invalid(f"there is no credential of kind {credential['kind']!r}")

    def _session(self, auth: BaseIdentityPlugin | None = None) -> Session:
        return set_up(Session(auth=auth, verify=self._cafile or True), TIMEOUT)

    def _cloud(self, session: Session, access: AccessInfo, auth_url: str = "") -> Cloud:
        elsewhere = auth_url not in ("", self._auth_url)
        return Cloud.of_session(
            session, access, auth_url=auth_url or self._auth_url, region="" if elsewhere else self._region,
            interface="public" if elsewhere else self._interface,
        )  # fmt: skip

    def _read(self, session: Session, token: str) -> AccessInfoV3:
        """What a token stands for, asked with the token itself."""
        headers = {"X-Subject-Token": token}
        return AccessInfoV3(self._ask(session, "GET", "/auth/tokens", token, headers=headers), auth_token=token)

    def _ask(
        self, session: Session, method: str, path: str, token: str, body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """One call to Keystone with a token; nothing of it is logged. Raises CloudError."""
        try:
            response = session.request(
                self._auth_url + path, method, json=body, headers={**(headers or {}), "X-Auth-Token": token},
                authenticated=False, raise_exc=False, log=False,
            )  # fmt: skip
        except ksa.ClientException as error:
            raise Unclear(f"{method} {path} of {self._auth_url} got no answer: {why_silent(error)}") from error
        if response.status_code >= 300:
            type_, text = said(response)
            message = f"{method} {path} of {self._auth_url}: {response.status_code} {text}"
            raise meaning(response.status_code, type_, text)(message, response.status_code)
        return dict(response.json()) if response.content else {}
