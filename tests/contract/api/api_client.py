"""A client of the API that says what came back, and shapes that answers have to have."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from karbor.api.service import Limits
from karbor.cloud.connection import Cloud
from karbor.providers import NOOP, OS_INFRA

__all__ = ["NOOP", "OS_INFRA"]

LIMITS = Limits(osapi_max_limit=50, min_interval=60, min_window=20, max_window=30)
"""What the served API allows."""
PATIENCE = 30.0
UNKNOWN = "11111111-2222-4333-8444-555555555555"


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    body: Any
    headers: Mapping[str, str]
    text: str

    def fault(self, status: int, name: str) -> str:
        """The message of the fault that this answer has to be."""
        assert self.status == status, (self.status, self.text)
        assert list(self.body) == [name], self.text
        fault = self.body[name]
        assert fault["code"] == status and isinstance(fault["message"], str) and fault["message"]
        assert set(fault) == ({"code", "message", "retryAfter"} if status == 413 else {"code", "message"})
        return str(fault["message"])

    def ok(self, key: str | None = None) -> Any:
        """What lies under `key` of this answer, which has to be a success."""
        assert self.status == 200, (self.status, self.text)
        return self.body if key is None else self.body[key]


@dataclass(frozen=True)
class Belongings:
    """The ids of things that one project has."""

    plan: str
    checkpoint: str
    restore: str
    verification: str
    trigger: str
    scheduled_operation: str

    @classmethod
    def of(cls, client: Client) -> Belongings:
        """One of each, made by `client`."""
        body = plan_body(("OS::Keystone::Project", client.project_id, "all"), name="belongings")
        plan = client.post("/plans", body).ok("plan")["id"]
        checkpoints = f"/providers/{NOOP}/checkpoints"
        checkpoint = client.post(checkpoints, {"checkpoint": {"plan_id": plan}}).ok("checkpoint")["id"]
        client.ended(f"{checkpoints}/{checkpoint}", "checkpoint")
        run = {"provider_id": NOOP, "checkpoint_id": checkpoint, "parameters": {}}
        restore = client.post("/restores", {"restore": run}).ok("restore")["id"]
        verification = client.post("/verifications", {"verification": run}).ok("verification")["id"]
        properties = {"format": "crontab", "pattern": "0 3 * * *"}
        trigger = {"trigger_info": {"name": "at night", "type": "time", "properties": properties}}
        trigger_id = client.post("/triggers", trigger).ok("trigger_info")["id"]
        operation = {
            "name": "nightly",
            "operation_type": "protect",
            "trigger_id": trigger_id,
            "operation_definition": {"provider_id": NOOP, "plan_id": plan},
        }
        made = client.post("/scheduled_operations", {"scheduled_operation": operation}).ok("scheduled_operation")
        client.ended(f"/restores/{restore}", "restore")
        client.ended(f"/verifications/{verification}", "verification")
        return cls(plan, checkpoint, restore, verification, trigger_id, made["id"])

    def path(self, route: str) -> str:
        """A path of the API's routes with the ids of these things in it."""
        kinds = {
            "/plans": self.plan, "/restores": self.restore, "/verifications": self.verification,
            "/triggers": self.trigger, "/scheduled_operations": self.scheduled_operation,
            "/operation_logs": self.restore, "/os-services": "1", "/quotas": UNKNOWN,
        }  # fmt: skip
        route = route.replace("{provider_id}", NOOP).replace("{type}", "OS::Keystone::Project")
        route = route.replace("/checkpoints/{id}", f"/checkpoints/{self.checkpoint}").replace("{name}", "default")
        for kind, id in kinds.items():
            route = route.replace(f"{kind}/{{id}}", f"{kind}/{id}")
        return route.replace("{id}", UNKNOWN)


class Client:
    """Speaks to the API as one user in one project."""

    def __init__(self, url: str, project_id: str, user_id: str, token: str, cloud: Cloud | None = None) -> None:
        self.url = url
        self.project_id = project_id
        self.user_id = user_id
        self.token = token
        self.cloud = cloud
        self._session = requests.Session()

    def ask(self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **options: Any) -> Reply:
        """Send a request to `path` below the project; `raw` is a body as it is, with `headers` of its own."""
        headers = {"X-Auth-Token": self.token, **options.pop("headers", {})}
        sent = {"data": raw} if raw is not None else {} if body is None else {"json": body}
        address = f"{self.url}/v1/{self.project_id}{path}"
        response = self._session.request(method, address, headers=headers, timeout=PATIENCE, **sent, **options)
        assert response.headers["X-Openstack-Request-Id"].startswith("req-")
        json = response.headers.get("Content-Type", "").startswith("application/json") and response.content
        return Reply(response.status_code, response.json() if json else None, response.headers, response.text)

    def get(self, path: str, **query: Any) -> Reply:
        return self.ask("GET", path, params=query)

    def post(self, path: str, body: Any) -> Reply:
        return self.ask("POST", path, body)

    def put(self, path: str, body: Any) -> Reply:
        return self.ask("PUT", path, body)

    def delete(self, path: str) -> Reply:
        return self.ask("DELETE", path)

    def until(self, path: str, key: str, good: Callable[[Any], bool]) -> Any:
        """What lies under `key` of `path`, once it is `good`."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self.get(path).ok(key)
            if good(found):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.02)

    def ended(self, path: str, key: str) -> Any:
        """What lies under `key` of `path`, once its status is one that stays."""
        moving = {"protecting", "deleting", "in_progress"}
        return self.until(path, key, lambda found: found["status"] not in moving)


class Api:
    """The API's address, with a client for each cloud of the sandbox's clouds.yaml."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self._folder = folder
        self._clients: dict[str, Client] = {}

    def client(self, name: str) -> Client:
        """The client of `sandbox`, `sandbox-b` or `sandbox-admin`, logged in once."""
        if name not in self._clients:
            cloud = Cloud.connect(name, state=self._folder)
            token = str(cloud._session.get_token())
            self._clients[name] = Client(self.url, cloud.project_id, cloud.user_id, token, cloud)
        return self._clients[name]


def plan_body(*resources: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    """The body of a plan of `(type, id, name)` resources; one that nobody has where none is named."""
    found = resources or (("OS::Cinder::Volume", UNKNOWN, "data"),)
    return {
        "plan": {
            "name": "nightly",
            "provider_id": NOOP,
            "resources": [{"type": type, "id": id, "name": name} for type, id, name in found],
            "parameters": {},
            **more,
        }
    }


def is_texts(value: Any) -> bool:
    """Whether a value is a map of texts to texts."""
    return isinstance(value, dict) and all(isinstance(part, str) for pair in value.items() for part in pair)
