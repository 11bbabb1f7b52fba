"""How Karbor gets into a cloud: which clouds.yaml describes it, and a session that is logged in."""

from __future__ import annotations

import ssl
from pathlib import Path

from keystoneauth1 import exceptions as ksa
from keystoneauth1.access import AccessInfo
from keystoneauth1.identity.base import BaseIdentityPlugin
from keystoneauth1.session import Session, TCPKeepAliveAdapter
from openstack.config import OpenStackConfig
from openstack.config.cloud_region import CloudRegion
from openstack.exceptions import ConfigException

from karbor.model.errors import Invalid, NotFound, Unauthorized, Unclear

CONNECTIONS = 64
"""Kept-alive HTTP connections to one address, so that as many threads never wait for a handshake."""


def find_region(name: str, state: Path | None) -> CloudRegion:
    """The cloud `name` of `state`/clouds.yaml, else of the places where every OpenStack client looks.

    Raises NotFound (no such cloud), Invalid (its entry lacks something, or a file is no YAML).
    """
    own = state / "clouds.yaml" if state else None
    try:
        if own and own.is_file():
            config = OpenStackConfig(config_files=[str(own)], secure_files=[], load_envvars=False)
            if name in config.get_cloud_names():
                return config.get_one(cloud=name)
        config = OpenStackConfig()
        if name not in config.get_cloud_names():
            places = "the usual clouds.yaml files" if own is None else f"{own} or the usual clouds.yaml files"
            known = ", ".join(sorted(set(config.get_cloud_names()) - {"defaults"})) or "none"
            raise NotFound(f"there is no cloud {name!r} in {places} (there: {known}); name another or add it there")
        return config.get_one(cloud=name)
    except (ConfigException, ksa.ClientException, ValueError) as error:
        raise Invalid(f"the entry of cloud {name!r} in clouds.yaml cannot be used: {error}") from error


def log_in(name: str, region: CloudRegion, timeout: float) -> tuple[Session, AccessInfo]:
    """A session with the project's token, and what the token says.

    `timeout` (seconds) holds for each connect and each read of each request.
    Raises Unauthorized, Invalid (no project, wrong address), Unclear (Keystone does not answer).
    """
    try:
        session = region.get_session()
        auth = region.get_auth()
    except (ConfigException, ksa.ClientException) as error:
        raise Invalid(f"logging in to cloud {name!r} is not possible with its entry in clouds.yaml: {error}") from error
    if not isinstance(auth, BaseIdentityPlugin):
        raise Invalid(f"cloud {name!r} does not log in to Keystone; give it auth_type password in clouds.yaml")
    return set_up(session, timeout), access_of(name, session, auth, "user, password and project in clouds.yaml")


def set_up(session: Session, timeout: float) -> Session:
    """The session itself, with a time limit for each connect and read and with as many connections as threads.

    Raises Invalid where the authorities that it is to trust cannot be read.
    """
    if isinstance(session.verify, str):
        check_authorities(session.verify)
    session.timeout = timeout
    for scheme in ("http://", "https://"):
        session.session.mount(scheme, TCPKeepAliveAdapter(pool_maxsize=CONNECTIONS))
    return session


def check_authorities(path: str) -> None:
    """Raises Invalid where a file or folder has no certificates of authorities."""
    place = {"capath" if Path(path).is_dir() else "cafile": path}
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(**place)
    except OSError as error:  # also what ssl raises for a file without certificates
        raise Invalid(f"the authorities' certificates in {path} cannot be read: {error}") from error


def why_silent(error: Exception) -> str:
    """Why a request got no answer, and what to do where a certificate is the reason."""
    if _is_of_tls(error):
        return (
            f"{error}; if its certificate is from an authority of your own, name the file with that one's certificate: "
            "`cacert` of a cloud in clouds.yaml, `cafile` of the service in karbor.conf"
        )
    return str(error)


def _is_of_tls(error: BaseException | None) -> bool:
    """Whether an error, or what led to it, is of TLS: looking for versions reports every reason as one of its own."""
    return error is not None and (isinstance(error, ksa.SSLError) or _is_of_tls(error.__cause__ or error.__context__))


def access_of(name: str, session: Session, auth: BaseIdentityPlugin, proof: str) -> AccessInfo:
    """What the token says that `auth` gets; `proof` names in messages what is to be looked at.

    Raises as `log_in`.
    """
    try:
        access = auth.get_access(session)
    except ksa.Unauthorized as error:
        raise Unauthorized(f"logging in to cloud {name!r} was refused; check {proof}: {error}", 401) from error
    except (ksa.ConnectionError, ksa.HttpServerError) as error:
        raise Unclear(f"logging in to cloud {name!r} got no answer: {why_silent(error)}") from error
    except (ConfigException, ksa.ClientException) as error:
        if _is_of_tls(error):
            raise Unclear(f"logging in to cloud {name!r} got no answer: {why_silent(error)}") from error
        raise Invalid(
            f"logging in to cloud {name!r} is not possible; check its auth URL, and {proof}: {error}"
        ) from error
    if not access.project_id:
        raise Invalid(f"cloud {name!r} is not scoped to a project; add project_name to {proof}")
    return access
