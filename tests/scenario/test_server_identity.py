"""How a restored server is called and where it is reached: its host name, and the address that its owner gave it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from stage import Stage
from terminal import Terminal
from web_server import application, image_booted, subnet_of

from karbor.cloud.networks import FLOATING_IP
from karbor.cloud.servers import SERVER
from karbor.model.resource import Ref

HOSTNAME = "OS-EXT-SRV-ATTR:hostname"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as stage:
        yield stage


def restored(stage: Stage, ref: Ref, **options: Any) -> tuple[Mapping[str, Any], dict[str, str]]:
    """The server that is restored beside a living one, and what was said of it."""
    protected = stage.protect(ref)
    assert protected["status"] == "available", protected["error_info"]
    operation = stage.restore(protected["checkpoint_id"], parameters={SERVER.type: options})
    assert operation["status"] == "success", operation["error_info"]
    (id,) = stage.all(SERVER).keys() - {ref.id}
    return stage.now(SERVER, id), stage.notes(operation)


@pytest.mark.parametrize("name", ["x", "1", "müller", "Ünïcode 1"])
def test_a_host_name_that_nova_does_not_take_back_is_made_of_the_name_again(stage: Stage, name: str) -> None:
    ref = image_booted(stage, name=name)
    server, said = restored(stage, ref)
    assert server[HOSTNAME] == stage.now(SERVER, ref.id)[HOSTNAME]
    assert said["hostname"].startswith("same: Nova makes it of the name again")


@pytest.mark.parametrize(("wanted", "hostname"), [("copy", "copy"), ("字", "Server-{id}")])
def test_another_name_gives_another_host_name_where_the_saved_one_is_not_taken(
    stage: Stage, wanted: str, hostname: str
) -> None:
    server, said = restored(stage, image_booted(stage, name="x"), restore_name=wanted)
    assert server[HOSTNAME] == hostname.format(id=server["id"])
    assert said["hostname"].startswith(f"mapped: {'copy' if wanted == 'copy' else 'one with its id'}, ")


def test_a_server_that_was_renamed_since_gets_a_host_name_of_its_present_name(stage: Stage) -> None:
    ref = image_booted(stage, name="x")
    SERVER.put(stage.cloud(), ref.id, name="web")
    server, said = restored(stage, ref)
    assert (server["name"], server[HOSTNAME]) == ("web", "web")
    assert said["hostname"].startswith("mapped: web, ")


def test_a_host_name_that_nova_takes_is_kept_under_another_name(stage: Stage) -> None:
    server, said = restored(stage, image_booted(stage, name="-"), restore_name="copy")
    assert server[HOSTNAME].startswith("Server-")
    assert server["id"] not in server[HOSTNAME]
    assert said["hostname"] == "same"


def reached_at_its_floating_ip(stage: Stage) -> tuple[Ref, str, str]:
    """A server whose owner says that it is reached at its floating IP; the floating IP's id and address."""
    app = application(stage)
    address = str(stage.now(FLOATING_IP, app.floating_ip)["floating_ip_address"])
    SERVER.put(stage.cloud(), app.ref.id, accessIPv4=address, accessIPv6="2001:db8::7")
    return app.ref, app.floating_ip, address


def test_an_access_address_follows_the_floating_ip_that_it_is(stage: Stage) -> None:
    ref, floating_ip, address = reached_at_its_floating_ip(stage)
    server, said = restored(stage, ref)
    (new,) = (each for each in stage.all(FLOATING_IP).values() if each["id"] != floating_ip)
    assert new["floating_ip_address"] != address
    assert (server["accessIPv4"], server["accessIPv6"]) == (new["floating_ip_address"], "2001:db8::7")
    assert said["accessIPv4"] == f"mapped: {new['floating_ip_address']}, which floating IP {address} became"


def test_an_access_address_that_is_still_the_floating_ip_stays(stage: Stage) -> None:
    ref, floating_ip, address = reached_at_its_floating_ip(stage)
    protected = stage.protect(ref)
    stage.remove(SERVER, ref.id)
    operation = stage.restore(protected["checkpoint_id"])
    assert operation["status"] == "success", operation["error_info"]
    (server,) = stage.all(SERVER).values()
    assert server["accessIPv4"] == address
    assert list(stage.all(FLOATING_IP)) == [floating_ip]
    assert "accessIPv4" not in stage.notes(operation)


def test_an_access_address_is_left_out_where_its_floating_ip_is(stage: Stage) -> None:
    ref, _, address = reached_at_its_floating_ip(stage)
    elsewhere, _ = subnet_of(stage, "elsewhere", "10.3.0.0/24")
    server, said = restored(stage, ref, restore_net_id=elsewhere)
    assert (server["accessIPv4"], server["accessIPv6"]) == ("", "2001:db8::7")
    assert said["accessIPv4"] == f"cannot: it was floating IP {address}, which is not restored"


def test_an_access_address_of_another_sort_is_kept(stage: Stage) -> None:
    server, _ = restored(stage, image_booted(stage, accessIPv4="192.0.2.7"))
    assert server["accessIPv4"] == "192.0.2.7"


def test_user_data_are_kept_and_no_command_prints_them(person: Terminal) -> None:
    server = image_booted(person)
    secret = base64.b64encode(b"password: hunter2").decode()
    protected = person.run("protect", f"server/{server.id}", "--option", f"server.user_data={secret}", "-f", "json")
    checkpoint = protected.document["checkpoint"]["id"]
    assert person.saved(checkpoint, server)["user_data"] == secret
    assert protected.document["checkpoint"]["protection_plan"]["parameters"] == {
        SERVER.type: {"user_data": "(not shown)"}
    }
    assert secret not in protected.out + protected.err
    for words in (
        ("checkpoint", "list"), ("checkpoint", "show", checkpoint), ("restore", checkpoint, "--dry-run"),
        ("restore", checkpoint), ("operation", "list"),
    ):  # fmt: skip
        for form in ("json", "table"):
            ended = person.run(*words, "-f", form)
            assert ended.status == 0
            assert secret not in ended.out + ended.err
