"""Who calls: what keystonemiddleware, which stands before the API, has found out about the token of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import falcon

from karbor.model.caller import Caller
from karbor.model.errors import Invalid

REQUEST_ID = "karbor.request_id"
"""Where in the WSGI environment the id of the request stands."""


def caller_of(request: falcon.Request, project_id: str) -> Caller:
    """The caller. Raises Invalid where the token is for another project than the path, or for none."""
    environ: Mapping[str, Any] = request.env
    token = (environ.get("keystone.token_info") or {}).get("token", {})
    caller = Caller(
        user_id=environ.get("HTTP_X_USER_ID", ""),
        project_id=environ.get("HTTP_X_PROJECT_ID", ""),
        roles=frozenset(role.strip().lower() for role in environ.get("HTTP_X_ROLES", "").split(",") if role.strip()),
        role_ids=tuple(role["id"] for role in token.get("roles", ())),
        token=environ.get("HTTP_X_AUTH_TOKEN", ""),
        delegated="application_credential" in token or "OS-TRUST:trust" in token,
        request_id=environ.get(REQUEST_ID, ""),
    )
    if not caller.project_id or caller.project_id != project_id:
        raise Invalid(
            f"project_id: the path names project {project_id[:64]!r}, and the token is for "
            f"{'project ' + repr(caller.project_id) if caller.project_id else 'no project'}"
        )
    return caller
