"""The API as an operator runs it: `karbor-api` with configuration files, on one database and a sandbox's Keystone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from karbor import clock
from karbor.model.resource import Ref, Resource, ResourceGraph
from karbor.providers import NOOP
from karbor.store import checkpoints, operations
from karbor.store.database import open_database

SERVER, VOLUME, NETWORK = "OS::Nova::Server", "OS::Cinder::Volume", "OS::Neutron::Network"
LISTENS = "the API is at "


@contextmanager
def api(folder: Path, database: str) -> Iterator[str]:
    """The API on a new database, in a process of its own, and no engine; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url, files = f"http://127.0.0.1:{port}", [folder / "karbor.conf", folder / "keystone.conf"]
    files[0].write_text(
        f"[DEFAULT]\nstate_path = {folder}\nprovider_config_dir = {folder}/providers.d\n"
        f"secret_key_file = {folder}/secret.key\nosapi_karbor_listen_port = {port}\nquota_plans = -1\n"
        f"[database]\nconnection = {database}\n"
    )
    named = ("--config-file", str(files[0]))
    _program("karbor-manage", "db", "sync", *named)
    words = ("--os-cloud", "sandbox-admin", "--url", url, "--credentials", str(files[1]), "--new-password")
    _program("karbor-manage", "register", *words, OS_CLIENT_CONFIG_FILE=str(folder / "clouds.yaml"))
    command = (_path("karbor-api"), *named, "--config-file", str(files[1]))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            if LISTENS not in (line := process.stderr.readline()):
                raise SystemExit(f"karbor-api did not start: {line}{process.stderr.read()}")
            yield url
        finally:
            process.terminate()


def fill(database: str, project_id: str, count: int) -> str:
    """Put so many good checkpoints of a server, its volumes and its network into the database; the id of the last."""
    kinds = (SERVER, VOLUME, VOLUME, NETWORK)
    graph = ResourceGraph()
    for number, kind in enumerate(kinds):
        graph.add(Resource(Ref(kind, clock.new_id()), f"resource-{number}"))
    server, *others = graph.resources
    graph.link(server, others)
    shown = [{"type": one.ref.type, "id": one.ref.id, "name": one.name} for one in graph.resources.values()]
    cloud = {"name": "", "region": "sandbox", "auth_url": "", "project_id": project_id}
    common = {"project_id": project_id, "provider_id": NOOP, "plan_id": clock.new_id(), "cloud": cloud}
    plan = {"id": common["plan_id"], "name": "nightly", "provider_id": NOOP, "resources": shown[:1]}
    ended = {"status": "available", "created_at": clock.now(), "ended_at": clock.now()}
    saved = [{**item, "status": "available", "reason": "", "not_kept": []} for item in shown]
    engine = open_database(database)
    with engine.begin() as connection:
        for _ in range(count):
            id = clock.new_id()
            facts = {"id": id, "plan": plan, "resources": saved, "extra_info": {"created_by": "manual"}}
            checkpoints.put(connection, {**common, **ended, **facts})
            operations.add(
                connection, operation_type="protect", phase="ended", runner="service", checkpoint_id=id,
                graph=graph.to_json(), request={"plan": plan}, **common, **ended,
            )  # fmt: skip
    engine.dispose()
    return id


def _path(program: str) -> str:
    return str(Path(sys.executable).with_name(program))


def _program(name: str, *words: str, **environment: str) -> None:
    """Run one of the service's programs, which has to go well."""
    done = subprocess.run([_path(name), *words], env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} {' '.join(words)}: {done.stderr}")
