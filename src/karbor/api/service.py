"""What the API works with: the parts that a handler may reach, put together once by whoever serves it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from karbor.cloud.delegation import Delegation
from karbor.engine.intake import Intake
from karbor.model.caller import Caller
from karbor.model.errors import CloudError, Invalid, KarborError
from karbor.notifier import Notify, silence
from karbor.plugins.base import Protectable
from karbor.providers import Provider
from karbor.store.sealed import Seal

LOG = logging.getLogger(__name__)


def _quotas() -> dict[str, int]:
    return {"plans": 50, "checkpoints": -1, "gigabytes": -1}


@dataclass(frozen=True)
class Limits:
    """What an operator may set of the API."""

    osapi_max_limit: int = 1000
    """Items of one page, at most and by default."""
    base_url: str = ""
    """What links begin with, in place of the address that the client used."""
    quotas: Mapping[str, int] = field(default_factory=_quotas)
    """Default limit of each quota; -1 is none."""
    min_interval: int = 3600
    """Seconds that lie between two firings of a trigger at least."""
    min_window: int = 900
    """Seconds by which a firing may be late at least, and by default."""
    max_window: int = 1800
    """Seconds by which a firing may be late at most."""
    restore_targets: Sequence[str] = ()
    """Auth URLs of the clouds that a restore may go into, besides the service's own."""


@dataclass(frozen=True)
class Service:
    """Everything behind the API."""

    database: sa.Engine
    providers: Mapping[str, Provider]
    protectables: Mapping[str, Protectable]
    delegation: Delegation
    intake: Intake
    seal: Seal
    wake: Callable[[], None]
    """Tells an engine in this process that there is work; does nothing where there is none."""
    limits: Limits = field(default_factory=Limits)
    notify: Notify = silence
    """Tells other services."""

    def provider(self, id: str) -> Provider:
        """Raises Invalid where no provider has this id."""
        try:
            return self.providers[id]
        except KeyError:
            raise Invalid(f"provider_id: there is no provider {id!r}; GET /providers lists them") from None

    @contextmanager
    def delegated(self, caller: Caller, *, expires_at: str | None = None) -> Iterator[str]:
        """A sealed credential that outlives the request, as `Delegation.delegate`; taken back when the block fails."""
        credential = self.delegation.delegate(caller, expires_at=expires_at)
        try:
            yield self.seal.seal(credential)
        except BaseException:
            try:
                self.delegation.revoke(credential)
            except CloudError as error:
                LOG.warning("a trust of user %s, for which there is no use, stays: %s", caller.user_id, error)
            raise

    def revoke(self, sealed: str, whose: str) -> None:
        """Take back a sealed credential; one whose key is lost stays, of no use to us, and the log says `whose` it was.

        Raises CloudError.
        """
        try:
            credential = self.seal.open(sealed)
        except KarborError as error:
            LOG.warning("the trust of %s stays: %s", whose, error)
            return
        self.delegation.revoke(credential)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answers. Without a body the answer is empty."""

    body: Any = None
    status: int = 200
