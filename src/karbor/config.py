"""The service's settings: what `karbor.conf` may say, what it is when it says nothing, and how Keystone is reached."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keystoneauth1 import loading
from keystonemiddleware import opts as middleware
from keystonemiddleware.auth_token import AuthProtocol
from oslo_config import cfg, types

from karbor import notifier
from karbor.cloud.access import check_authorities
from karbor.model.errors import Invalid

PROGRAM = "karbor"
PORT = 8799
AUTH_TOKEN = "keystone_authtoken"  # noqa: S105  (a section of the file)

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

OPTIONS: Mapping[str, Sequence[cfg.Opt]] = {
    "DEFAULT": (
        cfg.StrOpt(
            "state_path",
            default="/var/lib/karbor",
            help="Folder for what providers keep on this host where they name no place of their own.",
        ),
        cfg.StrOpt(
            "provider_config_dir",
            default="/etc/karbor/providers.d",
            help="Folder of provider files, *.conf. Without any, two built-in providers keep their bank in state_path.",
        ),
        cfg.StrOpt(
            "secret_key_file",
            default="/etc/karbor/secret.key",
            help="Keys that seal credentials in the database, one a line, the first seals; the same on every host. "
            "Mode 0600; made with a new key when it is not there.",
        ),
        cfg.HostAddressOpt(
            "osapi_karbor_listen", default="127.0.0.1", help="Address on which karbor-api listens by itself."
        ),
        cfg.PortOpt("osapi_karbor_listen_port", default=PORT, help="Port on which karbor-api listens by itself."),
        cfg.IntOpt(
            "osapi_karbor_threads",
            default=16,
            min=1,
            help="How many requests karbor-api answers at once by itself. For more processes serve karbor.main:wsgi() "
            "with gunicorn.",
        ),
        cfg.IntOpt(
            "osapi_max_limit",
            default=1000,
            min=1,
            help="The most items in one answer, and the default; an answer of very large items has fewer.",
        ),
        cfg.StrOpt(
            "osapi_karbor_base_URL",
            default="",
            help="What links in answers begin with, where a proxy stands before the API. Empty: as the request came.",
        ),
        cfg.IntOpt("quota_plans", default=50, min=-1, help="Plans of a project; -1 is without limit."),
        cfg.IntOpt("quota_checkpoints", default=-1, min=-1, help="Checkpoints of a project; -1 is without limit."),
        cfg.IntOpt("quota_gigabytes", default=-1, min=-1, help="GiB of a project in banks; -1 is without limit."),
        cfg.IntOpt("min_interval", default=3600, min=1, help="Seconds between two firings of a trigger, at least."),
        cfg.IntOpt("min_window_time", default=900, min=1, help="Seconds of a trigger's window, at least."),
        cfg.IntOpt("max_window_time", default=1800, min=1, help="Seconds of a trigger's window, at most."),
        cfg.ListOpt(
            "restore_targets",
            default=[],
            item_type=types.URI(schemes=["http", "https"]),
            help="Auth URLs of other Keystones that a restore may name as its restore_target, besides the service's "
            "own. The service sends logins there and works with the endpoints that they list, so name only clouds "
            "that may be reached from here.",
        ),
        cfg.IntOpt(
            "max_concurrent_operations", default=16, min=1, help="How many operations one karbor-engine runs at once."
        ),
    ),
    "database": (
        cfg.StrOpt(
            "connection",
            default="sqlite:////var/lib/karbor/karbor.db",
            secret=True,
            help="SQLAlchemy's address of the database, such as mysql+pymysql://karbor:PASSWORD@HOST/karbor?charset=utf8mb4.",
        ),
    ),
    "service_user": (
        cfg.URIOpt("auth_url", help="Keystone, for logging in as the service; its trustee of tenants' trusts."),
        cfg.StrOpt("username", help="The service's user."),
        cfg.StrOpt("password", secret=True, help="Its password."),
        cfg.StrOpt("project_name", help="Its project."),
        cfg.StrOpt("user_domain_name", help="The user's domain."),
        cfg.StrOpt("project_domain_name", help="The project's domain."),
        cfg.StrOpt("region_name", help="The region whose endpoints are used."),
        cfg.StrOpt("interface", default="public", help="The interface of the endpoints that are used."),
        cfg.StrOpt(
            "cafile", help="File with the certificates of the authorities that are trusted, in place of the system's."
        ),
        cfg.BoolOpt(
            "send_service_user_token",
            default=False,
            help="Send the service user's token beside that of a caller, where work goes on with his own token: the "
            "cloud then accepts it for some time after it has run out. It gives no rights that the caller has not.",
        ),
    ),
    notifier.SECTION: (
        cfg.MultiOpt(
            "driver",
            item_type=types.String(choices=["messagingv2", "messaging", "noop"]),
            help="How notifications are sent: messagingv2; may be repeated. Without one none are sent. Needs "
            "karbor-service's extra `notifications`; oslo.messaging's own sample has all that it may be told.",
        ),
        cfg.StrOpt(
            "transport_url",
            secret=True,
            help="The message bus, such as rabbit://USER:PASSWORD@HOST:5672/. Empty: [DEFAULT] transport_url.",
        ),
        cfg.ListOpt("topics", default=["notifications"], help="The topics that notifications are sent to."),
    ),
}
"""What is ours, by section. What [service_user] does not say is taken from [keystone_authtoken]."""


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """All options by section, for `oslo-config-generator --namespace karbor`."""
    return [
        *((section, list(options)) for section, options in OPTIONS.items()),
        *middleware.list_auth_token_opts(),
        (AUTH_TOKEN, _login_options()),
    ]


def _login_options() -> list[cfg.Opt]:
    """How the token middleware logs in: by password."""
    return list(loading.get_auth_plugin_conf_options("password"))


def settings(files: Sequence[str | Path] | None = None, given: Mapping[str, Mapping[str, Any]] | None = None) -> Any:
    """The settings of configuration files, by default `karbor.conf` where oslo.config looks for it (/etc/karbor).

    `given` stands above all files, by section and option. Raises Invalid where a file is not there or not right.
    """
    found = cfg.ConfigOpts()
    for section, options in (*OPTIONS.items(), *middleware.list_auth_token_opts()):
        found.register_opts(options, group=None if section == "DEFAULT" else section)
    try:
        found([], project=PROGRAM, default_config_files=None if files is None else [str(file) for file in files])
        # only now, because it requires an address, and not everything that reads the settings talks to Keystone
        found.register_opts(_login_options(), group=AUTH_TOKEN)
        for section, values in (given or {}).items():
            for name, value in values.items():
                found.set_override(name, value, group=None if section == "DEFAULT" else section)
        _check(found)
    except (cfg.Error, ValueError) as error:
        raise Invalid(f"the configuration cannot be used: {error}") from error
    return found


def _check(found: Any) -> None:
    """Raises cfg.Error where a value is none of its option, ValueError where options do not fit one another."""
    for section, options in OPTIONS.items():
        for option in options:
            _ = found[option.dest] if section == "DEFAULT" else found[section][option.dest]  # it is looked at only now
    if not found.min_window_time < found.max_window_time or 2 * found.max_window_time > found.min_interval:
        raise ValueError(
            f"min_window_time ({found.min_window_time}) must be less than max_window_time ({found.max_window_time}), "
            f"and twice that must not be more than min_interval ({found.min_interval})"
        )


def service_login(found: Any) -> dict[str, Any]:
    """How the service itself logs in: the arguments of `cloud.delegation.Delegation`. Raises Invalid."""
    own, shared = found.service_user, found[AUTH_TOKEN]

    def say(name: str) -> Any:
        return own[name] or shared[name]

    login = {name: say(name) for name in ("auth_url", "username", "password", "project_name")}
    if missing := [name for name, value in login.items() if not value]:
        raise Invalid(f"[{AUTH_TOKEN}] or [service_user] must say {', '.join(missing)}: the service has to log in")
    address = login["auth_url"].rstrip("/")
    return {
        **login,
        "auth_url": address if address.endswith("/v3") else f"{address}/v3",
        "region": say("region_name") or "",
        "user_domain_name": say("user_domain_name") or "Default",
        "project_domain_name": say("project_domain_name") or "Default",
        "cafile": say("cafile"),
        "interface": own.interface,
        "vouch": own.send_service_user_token,
    }


def identity(found: Any) -> Callable[[WSGIApp], WSGIApp]:
    """What lets only those requests through to an application whose token Keystone has validated.

    Raises Invalid where it is to trust authorities whose certificates cannot be read.
    """

    if found[AUTH_TOKEN].cafile:
        check_authorities(found[AUTH_TOKEN].cafile)

    def wrap(application: WSGIApp) -> WSGIApp:
        protected: WSGIApp = AuthProtocol(application, {"oslo_config_config": found})
        return protected

    return wrap
