"""Who asks the service for something: what Keystone says of the token of one request."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Caller:
    """A user in a project, for the time of one request."""

    user_id: str
    project_id: str
    roles: frozenset[str]
    """In lower case."""
    role_ids: tuple[str, ...]
    token: str = field(repr=False)
    """As it came; never logged, never stored in clear."""
    delegated: bool = False
    """The token is of an application credential or of a trust: Keystone lets it make no trusts."""
    request_id: str = ""
    """`req-` and a UUID, as answers and logs name the request."""
