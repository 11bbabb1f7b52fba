"""The service on a real cloud with its Keystone: a member's clients tell the whole story, and another sees nothing.

Needs an administrator (`cloud_operator`), who makes the service known and takes it away again. The service tells what
happens on the cloud's own message bus, where `KARBOR_TEST_BUS` has its address.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest
from client_story import Story
from cloud_operator import ADMIN_CLOUD
from command_lines import CommandLine, in_hands
from installed_service import installed, roles_of
from message_bus import listening
from place import Place, inventory
from small_application import SmallApplication

from karbor.cloud.connection import Cloud
from karbor.demo import disks
from karbor.providers import OS_INFRA

OTHER_CLOUD = os.environ.get("KARBOR_TEST_OTHER_CLOUD", "")
BUS = os.environ.get("KARBOR_TEST_BUS", "")
TOLD = {
    *(f"karbor.{event}.{word}" for word in ("start", "end") for event in (
        "plan_create", "plan_update", "plan_delete", "checkpoint_create", "checkpoint_delete", "restore_create",
        "trigger_create", "trigger_delete", "scheduled_operation_create", "scheduled_operation_delete",
    )),
    *(f"karbor.{verb}.end" for verb in ("protect", "verify", "restore", "delete")),
}  # fmt: skip
"""Of what the story does."""
LISTS = ("plan", "trigger", "scheduledoperation", "restore", "verification", "operationlog")

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not ADMIN_CLOUD, reason="nobody can register the service: KARBOR_TEST_ADMIN_CLOUD is not set"),
]


def test_the_clients_tell_the_whole_story(place: Place) -> None:
    admin = Cloud.connect(ADMIN_CLOUD)
    with ExitStack() as stack:
        heard = stack.enter_context(listening(BUS, "notifications")) if BUS else None
        service = stack.enter_context(installed(admin, place.folder, f"{place.prefix}karbor", BUS))
        assert roles_of(admin, service.user) == [("service", "service")], "no rights in any tenant's project"
        client, karbor = (in_hands(words, place.cloud.name) for words in ("openstack", "karbor"))
        assert {row["state"] for row in in_hands("karbor", ADMIN_CLOUD).list("service list")} == {"up"}
        assert karbor.attempt("service list").returncode != 0, "the services are an administrator's to see"
        app = SmallApplication(place)
        story = Story(client, karbor, place.cloud, app.app)
        story.look("web", "root")
        story.make_a_plan()
        story.protect()
        story.verify()
        restored = story.lose_and_restore()
        restore = place.karbor("operation", "show", restored)["operation_log"]["restore"]
        again = app.became(restore)
        assert set(again.things) == set(app.app.things)
        assert app.differences(restore) == []
        assert disks.volume_sha256(place.cloud, again["root"]) == app.sha256["root"]
        story.schedule()
        if OTHER_CLOUD:
            sees_nothing(in_hands("karbor", OTHER_CLOUD), story)
        story.delete()
        if heard:
            heard.rest("restore", operation_id=restored, status="success")
            heard.rest("delete", checkpoint_id=story.checkpoint, status="deleted")
            for event in TOLD:  # each process tells them in its own time
                heard.until(lambda name, _payload, event=event: name == event, 1)
        place.leave()
        assert inventory(place.cloud) == place.at_first


def sees_nothing(stranger: CommandLine, story: Story) -> None:
    """Another project's member finds none of it, whatever he asks for."""
    for noun in LISTS:
        assert stranger.list(f"{noun} list") == [], noun
    assert stranger.list("checkpoint list", OS_INFRA) == []
    for words in (("plan show", story.plan), ("checkpoint show", OS_INFRA, story.checkpoint)):
        refused = stranger.attempt(*words)
        assert refused.returncode != 0
        assert story.plan not in refused.stdout
