"""Both command lines of python-karborclient tell the whole story: protect, verify, lose, restore, schedule, delete."""

from __future__ import annotations

import uuid

import pytest
from client_story import Story
from command_lines import CommandLine

from karbor.cloud.connection import Cloud
from karbor.demo.application import Application
from karbor.providers import OS_INFRA


@pytest.mark.timeout(1800)  # each of its many commands is a process of its own
def test_the_whole_story(client: CommandLine, karbor: CommandLine, cloud: Cloud, app: Application) -> None:
    story = Story(client, karbor, cloud, app)
    story.look("web", "web-data")
    story.make_a_plan()
    story.protect()
    story.verify()
    story.lose_and_restore()
    story.schedule()
    story.delete()


def test_what_is_wrong_is_told(client: CommandLine, words: str) -> None:
    refused = client.attempt("plan show", "no-uuid")
    assert refused.returncode != 0
    told = {"karbor": "HTTP 400", "openstack": "No plan with a name or ID of 'no-uuid' exists."}
    assert told[words] in refused.stdout + refused.stderr
    refused = client.attempt("checkpoint show", OS_INFRA, str(uuid.uuid4()))
    assert refused.returncode != 0
    assert "HTTP 404" in refused.stdout + refused.stderr


def test_administration(client: CommandLine, admin: CommandLine, cloud: Cloud) -> None:
    services = {row["binary"]: row for row in admin.list("service list")}
    assert set(services) == {"karbor-protection", "karbor-operationengine"}
    assert {row["state"] for row in services.values()} == {"up"}
    assert client.attempt("service list").returncode != 0
    assert "50" in client.run("quotas show", "--tenant", cloud.project_id)
