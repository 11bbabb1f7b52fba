"""One project's view of one OpenStack region: the only door through which Karbor talks to a cloud."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy, deepcopy
from pathlib import Path
from typing import Any, NamedTuple, Self, TypedDict, Unpack
from urllib.parse import parse_qsl, urlsplit

import requests
from keystoneauth1 import exceptions as ksa
from keystoneauth1.access import AccessInfo
from keystoneauth1.session import Session
from openstack.config.cloud_region import CloudRegion, from_session

from karbor import clock
from karbor.cloud.access import find_region, log_in, why_silent
from karbor.cloud.answers import body_of, error_of, retry_after
from karbor.cloud.kind import Kind, Object
from karbor.cloud.poller import Reads
from karbor.cloud.quotas import quota_left
from karbor.cloud.transfers import download, upload
from karbor.model.errors import Gone, NotFound, Refused, Unauthorized, Unclear

LOG = logging.getLogger(__name__)

COMPUTE = "2.93"
VOLUME = "3.70"
"""The microversions that Karbor speaks; a cloud whose newest is older is spoken to in that one."""

SPOKEN = {"compute": COMPUTE, "volume": VOLUME}
TYPES = {"volume": "block-storage"}
"""Services whose type in the catalogue is not the word that Karbor uses."""

PAGE = 1000
GET_TRIES = 4
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 4.0
RESTART_SECONDS = 30.0
"""For so long a read is repeated that nobody answers: a service that is being restarted refuses connections."""
PASSING = frozenset({429, 500, 502, 503, 504})
TRANSFERS = 8

Params = Mapping[str, Any] | Sequence[tuple[str, Any]]


class CallOptions(TypedDict, total=False):
    """What a call may carry besides its body; `microversion` replaces the one that the cloud is spoken to in."""

    microversion: str
    params: Params
    content_type: str


class Endpoint(NamedTuple):
    """Where a service is, and the microversion that it is spoken to in (empty: it has none)."""

    url: str
    microversion: str


class Cloud:
    """A logged-in project in a region. Safe to use from many threads; at most `limit` calls run at once.

    A reading call is repeated when its answer was lost; a changing call never is, by nobody: whoever asked
    for a change gets Unclear and has to look first.
    """

    def __init__(
        self, name: str, region: CloudRegion, session: Session, access: AccessInfo, *, timeout: float, limit: int = 16
    ) -> None:
        self.name = name
        self.region: str = region.region_name or ""
        self.auth_url: str = region.config["auth"].get("auth_url", "")
        self.project_id = str(access.project_id)
        self.project_name = str(access.project_name or "")
        self.user_id = str(access.user_id)
        self.timeout = timeout
        """Seconds that one connect or one read of a request may take."""
        self.uploads = threading.BoundedSemaphore(TRANSFERS)
        self.downloads = threading.BoundedSemaphore(TRANSFERS)
        self._config = region
        self._session = session
        self._calls = threading.BoundedSemaphore(limit)
        self._lock = threading.Lock()
        self._endpoints: dict[str, Endpoint] = {}
        self._extensions: frozenset[str] | None = None
        self._reads = Reads(self)
        self._guard: Callable[[float], None] = lambda _seconds: None
        self._remembered: dict[tuple[str, str, str, str | None], dict[str, Any]] | None = None

    def guarded(self, guard: Callable[[float], None]) -> Self:
        """The same cloud with a guard, which stops what it raises at.

        It is called before each call that may change something and each part of an upload, with the seconds that
        this may last: to connect, and to read.
        """
        found = copy(self)
        found._guard = guard
        return found

    def remembering(self) -> Self:
        """The same cloud for whoever only looks: what `get` has answered once it answers again without a request."""
        found = copy(self)
        found._remembered = {}
        found._reads = Reads(found)
        return found

    def check(self) -> None:
        """Raise what the guard raises."""
        self._guard(2 * self.timeout)

    @classmethod
    def connect(cls, name: str, *, state: Path | None = None, timeout: float = 60.0, limit: int = 16) -> Self:
        """Log in to the cloud `name` of `state`/clouds.yaml or of the SDK's usual places.

        Raises NotFound (unknown cloud), Invalid (unusable entry), Unauthorized (bad credentials), Unclear (no answer).
        """
        region = find_region(name, state)
        session, access = log_in(name, region, timeout)
        return cls(name, region, session, access, timeout=timeout, limit=limit)

    @classmethod
    def of_session(
        cls, session: Session, access: AccessInfo, *, auth_url: str, region: str = "", interface: str = "public",
        limit: int = 16,
    ) -> Self:  # fmt: skip
        """The cloud at `auth_url`, whose `session` is logged in already with `access`; its name is the URL's host.

        Without a `region` the first one in the catalogue.
        """
        options: dict[str, Any] = {"auth": {"auth_url": auth_url}, "interface": interface}
        config = from_session(session, region_name=region or None, **options)
        name = urlsplit(auth_url).hostname or auth_url
        return cls(name, config, session, access, timeout=float(session.timeout or 0.0), limit=limit)

    def get(
        self, service: str, path: str, *, params: Params | None = None, microversion: str | None = None
    ) -> dict[str, Any]:
        """Read; made up to four times while the answer is Unclear, and for half a minute while there is none.

        Raises CloudError.
        """
        question = (service, path, repr(params), microversion)
        if self._remembered is not None and question in self._remembered:
            return deepcopy(self._remembered[question])
        answer = body_of(self, self.request("GET", service, path, params=params, microversion=microversion))
        if self._remembered is not None:
            self._remembered[question] = deepcopy(answer)
        return answer

    def post(self, service: str, path: str, body: Any = None, **call: Unpack[CallOptions]) -> dict[str, Any]:
        """POST once; `{}` where the answer has no body. Raises CloudError; Unclear means: perhaps done."""
        return body_of(self, self.request("POST", service, path, body, **call))

    def put(self, service: str, path: str, body: Any = None, **call: Unpack[CallOptions]) -> dict[str, Any]:
        """PUT once, as `post`."""
        return body_of(self, self.request("PUT", service, path, body, **call))

    def patch(self, service: str, path: str, body: Any = None, **call: Unpack[CallOptions]) -> dict[str, Any]:
        """PATCH once, as `post`."""
        return body_of(self, self.request("PATCH", service, path, body, **call))

    def delete(self, service: str, path: str, body: Any = None, **call: Unpack[CallOptions]) -> dict[str, Any]:
        """DELETE once, as `post`; raises Gone where nothing was there."""
        return body_of(self, self.request("DELETE", service, path, body, **call))

    def pages(
        self,
        service: str,
        path: str,
        key: str,
        *,
        params: Mapping[str, Any] | None = None,
        microversion: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """All entries of a listing, whose array is called `key`.

        The listing is read to its end before the first entry is given, so the caller may delete what it is given;
        it is read anew when somebody else deleted the object that marked the next page.
        """
        first = {"limit": PAGE, **(params or {})} if service == "image" else dict(params or {})
        for attempt in range(GET_TRIES):
            found: list[dict[str, Any]] = []
            query: Params | None = first
            try:
                while query is not None:
                    answer = self.get(service, path, params=query, microversion=microversion)
                    found.extend(answer[key])
                    query = next_page(answer, key)
            except (Gone, Refused):
                if not found or attempt == GET_TRIES - 1:
                    raise
            else:
                break
        return iter(found)

    def extensions(self) -> frozenset[str]:
        """The aliases of neutron's extensions; asked once."""
        if self._extensions is None:
            answer = self.get("network", "/extensions")
            self._extensions = frozenset(extension["alias"] for extension in answer["extensions"])
        return self._extensions

    def has(self, service: str) -> bool:
        """Whether the catalogue offers this service (`compute`, `volume`, `object-store` …)."""
        try:
            return self._config.get_session_client(TYPES.get(service, service)).get_endpoint() is not None
        except ksa.EndpointNotFound:
            return False

    def microversion(self, service: str) -> tuple[int, int]:
        """The microversion that `service` is spoken to in; (0, 0) where it has none."""
        major, _, minor = self._endpoint(service).microversion.partition(".")
        return (int(major or 0), int(minor or 0))

    def quota_left(self) -> dict[str, int | None]:
        """What is left of each quota of the project; None where there is no limit or it cannot be seen.

        Keys: volumes gigabytes snapshots backups backup_gigabytes instances cores ram (MiB) key_pairs server_groups
        networks subnets ports routers floating_ips security_groups security_group_rules.
        """
        return quota_left(self)

    def upload(self, image_id: str, chunks: Iterator[bytes]) -> None:
        """Send an image's bytes. An error of `chunks` cuts the connection, and the image is `queued` again."""
        upload(self, image_id, chunks)

    def download(self, image_id: str) -> Iterator[bytes]:
        """An image's bytes in chunks of 1 MiB; goes on after a cut; raises Unclear rather than end short."""
        return download(self, image_id)

    def read(self, kind: Kind, id: str) -> Object | None:
        """The object now, or None when it is gone; many threads that ask at once share few requests."""
        return self._reads.read(kind, id)

    def request(
        self,
        method: str,
        service: str,
        path: str,
        body: Any = None,
        *,
        params: Params | None = None,
        microversion: str | None = None,
        content_type: str | None = None,
    ) -> requests.Response:
        """One call with its answer as it came; raises CloudError for every answer that is not a success."""
        headers = {"Content-Type": content_type} if content_type else {}
        tries_left, patience = (GET_TRIES, RESTART_SECONDS) if method == "GET" else (1, 0.0)
        began, pause = clock.monotonic(), FIRST_PAUSE
        while True:
            tries_left -= 1
            try:
                with self._calls:
                    response = self.send(
                        method, service, path, json=body, params=params, headers=headers, microversion=microversion
                    )
            except Unclear:
                if tries_left <= 0 and clock.monotonic() - began >= patience:
                    raise
            else:
                if response.status_code not in PASSING or tries_left <= 0:
                    break
                pause = max(pause, retry_after(response))
            clock.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        if response.status_code >= 300:
            raise error_of(self, method, path, response)
        return response

    def send(
        self, method: str, service: str, path: str, *, microversion: str | None = None, **call: Any
    ) -> requests.Response:
        """One HTTP exchange, never repeated, whatever status comes back. Raises Unclear where no answer came.

        Nothing is logged of headers and bodies: they carry tokens, keys and user data.
        """
        endpoint = self._endpoint(service)
        if method not in ("GET", "HEAD"):
            self.check()
        started = clock.monotonic()
        try:
            response = self._session.request(
                endpoint.url + path,
                method,
                microversion=microversion or endpoint.microversion or None,
                microversion_service_type=TYPES.get(service, service),
                connect_retries=0,
                status_code_retries=0,
                raise_exc=False,
                log=False,
                **call,
            )
        except ksa.Unauthorized as error:
            raise Unauthorized(f"{method} {path} of cloud {self.name!r}: login refused: {error}", 401) from error
        except ksa.ClientException as error:
            raise Unclear(f"{method} {path} of cloud {self.name!r} got no answer: {why_silent(error)}") from error
        taken = clock.monotonic() - started
        LOG.debug("%s %s of cloud %r: %d in %.3f s", method, path, self.name, response.status_code, taken)
        return response

    def _endpoint(self, service: str) -> Endpoint:
        """Where `service` is; found out once."""
        with self._lock:
            if service not in self._endpoints:
                self._endpoints[service] = self._discover(service)
            return self._endpoints[service]

    def _discover(self, service: str) -> Endpoint:
        """Ask the catalogue and the service's version document. Raises NotFound, Unclear."""
        try:
            data = self._config.get_session_client(TYPES.get(service, service)).get_endpoint_data()
        except ksa.EndpointNotFound:
            data = None
        except ksa.ClientException as error:
            raise Unclear(
                f"the {service} service of cloud {self.name!r} does not say its versions: {why_silent(error)}"
            ) from error
        if data is None:
            raise NotFound(
                f"cloud {self.name!r} offers no {service} service in region {self.region!r}; `openstack catalog list` "
                "shows what it offers, and its entry in clouds.yaml which region is asked"
            )
        url = str(data.url).rstrip("/")
        if service not in SPOKEN:
            return Endpoint(url, "")
        if data.max_microversion is None:
            raise Unclear(f"the {service} service of cloud {self.name!r} does not say its newest microversion")
        ours = tuple(int(number) for number in SPOKEN[service].split("."))
        major, minor = min(ours, data.max_microversion)
        return Endpoint(url, f"{major}.{minor}")


def next_page(answer: Mapping[str, Any], key: str) -> Params | None:
    """The query of the page after `answer`: Glance's `next`, the others' `<key>_links`; None at the end.

    Only the query is taken from the link: behind a proxy its host may be one that cannot be reached.
    """
    links = [link["href"] for link in answer.get(f"{key}_links", ()) if link["rel"] == "next"]
    following = answer.get("next") or next(iter(links), None)
    return parse_qsl(urlsplit(following).query, keep_blank_values=True) if following else None
