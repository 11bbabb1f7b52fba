"""The service's parts, put together from its settings: the API as an application, and the engine that does the work."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from karbor import config, notifier
from karbor.api import policy
from karbor.api.app import make_app
from karbor.api.service import Limits, Service
from karbor.cloud.delegation import Delegation
from karbor.engine.conductor import Conductor
from karbor.engine.intake import Intake
from karbor.engine.worker import Engine
from karbor.notifier import Notifier, silence
from karbor.plugins import registry
from karbor.providers import Provider, load_providers
from karbor.schedule.tick import Ticker
from karbor.serving.heartbeat import Heartbeat
from karbor.store import upkeep
from karbor.store.database import open_database
from karbor.store.sealed import Seal

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """What the API and the engine are made of; each part is made when it is first asked for."""

    settings: Any

    @cached_property
    def database(self) -> sa.Engine:
        """The database, which has to have this version's schema. Raises KarborError, FormatTooNew."""
        address = self.settings.database.connection
        upkeep.check(address)
        return open_database(address)

    @cached_property
    def providers(self) -> dict[str, Provider]:
        """Raises Invalid, BankUnreadable."""
        return load_providers(Path(self.settings.state_path), Path(self.settings.provider_config_dir))

    @cached_property
    def seal(self) -> Seal:
        """Raises KarborError when the key file cannot be used."""
        return Seal.of_file(Path(self.settings.secret_key_file))

    @cached_property
    def delegation(self) -> Delegation:
        """Raises Invalid when the settings do not say how the service logs in."""
        return Delegation(**config.service_login(self.settings))

    @cached_property
    def intake(self) -> Intake:
        place = {"name": "", "region": self.delegation.region, "auth_url": self.delegation.auth_url}
        return Intake(self.database, self.providers, place, self.notifier or silence)

    @cached_property
    def notifier(self) -> Notifier | None:
        """Raises Invalid when notifications are asked for that cannot be sent."""
        return notifier.connected(self.settings)

    @cached_property
    def limits(self) -> Limits:
        found = self.settings
        return Limits(
            osapi_max_limit=found.osapi_max_limit,
            base_url=found.osapi_karbor_base_URL,
            quotas={
                "plans": found.quota_plans,
                "checkpoints": found.quota_checkpoints,
                "gigabytes": found.quota_gigabytes,
            },
            min_interval=found.min_interval,
            min_window=found.min_window_time,
            max_window=found.max_window_time,
            restore_targets=tuple(found.restore_targets),
        )

    def application(self, wake: Callable[[], None] = lambda: None) -> config.WSGIApp:
        """The API; `wake` is called when there is something new to do, and tells an engine in the same process."""
        service = Service(
            self.database, self.providers, registry.protectables(), self.delegation, self.intake, self.seal, wake,
            self.limits, self.notifier or silence,
        )  # fmt: skip
        return make_app(service, identity=config.identity(self.settings), enforcer=policy.make_enforcer(self.settings))

    def close(self) -> None:
        """Whatever is to be told to other services gets a last moment to go."""
        if self.notifier is not None:
            self.notifier.close()

    def workforce(self) -> Workforce:
        """The engine, not started yet."""
        return Workforce(self)


class Workforce:
    """What does the work: the conductor runs operations, the ticker fires triggers."""

    def __init__(self, parts: Parts) -> None:
        self._heartbeat = Heartbeat(parts.database)
        self.conductor = Conductor(
            Engine(parts.database, parts.providers, notify=parts.notifier or silence),
            parts.delegation.by_credential,
            seal=parts.seal,
            delegation=parts.delegation,
            limit=parts.settings.max_concurrent_operations,
            enabled=self._heartbeat.may_begin,
        )
        self._ticker = Ticker(
            parts.database, parts.intake, parts.providers,
            window=parts.limits.min_window, min_interval=parts.limits.min_interval, limits=parts.limits.quotas,
            wake=self.conductor.wake, enabled=self._heartbeat.may_begin,
        )  # fmt: skip

    def start(self) -> None:
        """Begin to look for work; returns at once."""
        self._heartbeat.start()
        self.conductor.start()
        self._ticker.start()
        LOG.info("the engine looks for work")

    def stop(self) -> None:
        """Take nothing new in and leave what runs to whoever comes next."""
        self._ticker.stop()
        self.conductor.stop()
        self._heartbeat.stop()
