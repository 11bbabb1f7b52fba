"""The whole API over HTTP: served by cheroot on loopback, tokens of the sandbox's Keystone, a conductor that works."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from api_client import LIMITS, NOOP, OS_INFRA, Api, Belongings, Client, plan_body
from saved_volume import PATH, TYPE, Story
from scheduling import Fire, create

from karbor import clock, config, notifier
from karbor.api import policy
from karbor.api.app import make_app
from karbor.api.service import Service
from karbor.cloud.access import find_region
from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.delegation import Delegation
from karbor.engine.conductor import Conductor
from karbor.engine.intake import Intake
from karbor.engine.worker import Engine
from karbor.notifier import Notifier
from karbor.plugins import registry
from karbor.schedule.tick import Ticker
from karbor.serving.http import Server
from karbor.store import schedules, services
from karbor.store.sealed import Seal
from karbor.testing.rig import Rig

HOST = "host-0"
"""What the conductor calls the host that it runs on."""


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The sandbox, the database and the providers."""
    with Rig(tmp_path_factory.mktemp("state"), durable=False) as rig:
        yield rig


@pytest.fixture(scope="session")
def settings(rig: Rig) -> object:
    """What a configuration file would say: the sandbox's Keystone, and the service user there."""
    login = find_region("sandbox-service", rig.folder)
    auth = login.config["auth"]
    token = {
        "auth_type": "password",
        "www_authenticate_uri": auth["auth_url"],
        "region_name": login.region_name,
        **auth,
    }
    bus = {"driver": ["messagingv2"], "transport_url": "fake:///", "topics": ["karbor_notifications"]}
    return config.settings([], {config.AUTH_TOKEN: token, notifier.SECTION: bus})


@pytest.fixture(scope="session")
def bus(settings: object) -> Iterator[Notifier]:
    """What tells other services; here they listen in this process."""
    found = notifier.connected(settings)
    assert found is not None
    yield found
    found.close()


@pytest.fixture(scope="session")
def service(
    rig: Rig, settings: object, conductor: Conductor, delegation: Delegation, seal: Seal, elsewhere: str,
    bus: Notifier,
) -> Service:  # fmt: skip
    place = {"name": "", "region": delegation.region, "auth_url": delegation.auth_url}
    return Service(
        rig.database,
        rig.providers,
        registry.protectables(),
        delegation,
        Intake(rig.database, rig.providers, place, bus),
        seal,
        conductor.wake,
        replace(LIMITS, restore_targets=[elsewhere]),
        bus,
    )


@pytest.fixture(scope="session")
def delegation(settings: object) -> Delegation:
    return Delegation(**config.service_login(settings))


@pytest.fixture(scope="session")
def seal(rig: Rig) -> Seal:
    return Seal.of_file(Path(rig.folder) / "secret.key")


@pytest.fixture(scope="session")
def conductor(rig: Rig, delegation: Delegation, seal: Seal, bus: Notifier) -> Iterator[Conductor]:
    engine = Engine(rig.database, rig.providers, rig.settings, notify=bus)
    enabled = partial(services.is_enabled, rig.database, HOST, services.OPERATION_ENGINE)
    conductor = Conductor(engine, delegation.by_credential, seal=seal, delegation=delegation, enabled=enabled)
    conductor.start()
    yield conductor
    conductor.stop()


@pytest.fixture
def disabled(rig: Rig, admin: Client) -> Callable[[], AbstractContextManager[None]]:
    """Disables the engine for as long as a block lasts: nothing that comes in is taken up."""

    @contextmanager
    def disabled() -> Iterator[None]:
        id = services.beat(rig.database, HOST, services.OPERATION_ENGINE)["id"]
        admin.put(f"/os-services/{id}", {"status": "disabled", "disabled_reason": "repair"}).ok()
        try:
            yield
        finally:
            admin.put(f"/os-services/{id}", {"status": "enabled"}).ok()

    return disabled


@pytest.fixture(scope="session")
def elsewhere(rig: Rig) -> str:
    """The sandbox's Keystone by another address, which the operator allows as the target of restores."""
    return f"{rig.sandbox.url}/identity/v3".replace("127.0.0.1", "localhost")


@pytest.fixture(scope="session")
def api(rig: Rig, settings: object, service: Service) -> Iterator[Api]:
    """The API's address, and clients for it."""
    app = make_app(service, identity=config.identity(settings), enforcer=policy.make_enforcer(settings))
    server = Server(app, "127.0.0.1", 0, 8)
    server.start()
    api = Api(server.url, rig.folder)
    admin = api.client("sandbox-admin")
    admin.put(f"/quotas/{admin.project_id}", {"quota": {"plans": -1}}).ok()  # no test counts those of another
    yield api
    server.stop()


@pytest.fixture
def member(api: Api) -> Client:
    """A member of the project sandbox."""
    return api.client("sandbox")


@pytest.fixture
def stranger(api: Api) -> Client:
    """A member of another project."""
    return api.client("sandbox-b")


@pytest.fixture
def admin(api: Api) -> Client:
    """An administrator, in the project sandbox."""
    return api.client("sandbox-admin")


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test makes the service log a traceback."""
    with caplog.at_level(logging.WARNING):
        yield
    tracebacks = [record.getMessage() for record in caplog.get_records("call") if record.exc_info]
    assert tracebacks == []


@pytest.fixture(scope="session")
def belongings(api: Api) -> Belongings:
    """One of each thing that there can be, in the project sandbox; nobody changes them."""
    return Belongings.of(api.client("sandbox"))


@pytest.fixture(scope="module")
def story(api: Api) -> Iterator[Story]:
    client = api.client("sandbox")
    assert client.cloud is not None
    volume = VOLUME.create(client.cloud, {"size": 1, "metadata": {}}, "data")
    plan = client.post("/plans", plan_body((TYPE, volume, "data"), provider_id=OS_INFRA)).ok("plan")
    created = client.post(PATH, {"checkpoint": {"plan_id": plan["id"], "extra-info": None}}).ok("checkpoint")
    checkpoint = client.ended(f"{PATH}/{created['id']}", "checkpoint")
    yield Story(volume, plan, created, checkpoint)
    VOLUME.delete(client.cloud, volume)


@pytest.fixture
def trigger(member: Client) -> str:
    properties = {"format": "crontab", "pattern": "0 3 1 1 *"}
    body = {"trigger_info": {"name": "yearly", "type": "time", "properties": properties}}
    return str(member.post("/triggers", body).ok("trigger_info")["id"])


@pytest.fixture
def plan(member: Client) -> Iterator[str]:
    body = plan_body(("OS::Keystone::Project", member.project_id, "all"))
    id = str(member.post("/plans", body).ok("plan")["id"])
    yield id
    member.delete(f"/plans/{id}")


@pytest.fixture
def sent(trigger: str, plan: str) -> dict[str, Any]:
    """What makes a scheduled operation."""
    definition = {"provider_id": NOOP, "plan_id": plan}
    return {
        "name": "nightly",
        "operation_type": "protect",
        "trigger_id": trigger,
        "operation_definition": definition,
    }


@pytest.fixture
def schedule(member: Client, sent: dict[str, Any]) -> Iterator[dict[str, Any]]:
    made = create(member, sent)
    yield made
    member.delete(f"/scheduled_operations/{made['id']}")


@pytest.fixture
def tick(rig: Rig, service: Service) -> Callable[[], None]:
    return Ticker(rig.database, service.intake, rig.providers, wake=service.wake).tick


@pytest.fixture
def fire(member: Client, rig: Rig, tick: Callable[[], None]) -> Fire:
    """Makes a scheduled operation's trigger due now, and waits for the end of its run; the firing as it is shown."""

    moving = ("due", "protecting", "needs credentials")

    def fire(schedule: dict[str, Any]) -> dict[str, Any]:
        schedules.update_trigger(rig.database, schedule["trigger_id"], next_at=clock.now())
        tick()
        path = f"/scheduled_operations/{schedule['id']}"
        shown = member.until(path, "scheduled_operation", lambda found: found["firings"][0]["status"] not in moving)
        return dict(shown["firings"][0])

    return fire
