"""The words for resources and options."""

from __future__ import annotations

from typing import Any

import click
import pytest

from karbor.cli.names import Thing, addressed, checkpoint, kinds, parameters, things
from karbor.model.errors import Ambiguous, Invalid, NotFound
from karbor.model.resource import Ref

SERVER, VOLUME = "OS::Nova::Server", "OS::Cinder::Volume"


def test_kinds_are_the_words_of_the_plug_ins() -> None:
    assert next(iter(kinds())) == "project"
    assert kinds()["server"] == SERVER
    assert set(kinds()) >= {
        "server", "volume", "image", "network", "project", "router", "security_group", "keypair", "server_group",
    }  # fmt: skip


def test_things_are_kind_and_name_split_at_the_first_slash() -> None:
    assert things(["server/web", f"{VOLUME}/a/b", "project", "project/p"]) == [
        Thing(SERVER, "web"),
        Thing(VOLUME, "a/b"),
        Thing("OS::Keystone::Project", ""),
        Thing("OS::Keystone::Project", "p"),
    ]


@pytest.mark.parametrize("text", ["server", "server/", "project/", "/web", ""])
def test_a_thing_without_a_name_is_wrong_usage(text: str) -> None:
    with pytest.raises((click.UsageError, Invalid)):
        things([text])


def test_an_unknown_kind_is_told_the_known_ones() -> None:
    with pytest.raises(Invalid, match=r"'pod' is no kind .* there are project, server"):
        things(["pod/x"])


def test_options_are_sorted_by_what_they_are_for() -> None:
    assert parameters(["volume.a=1", f"{VOLUME}.b=x=y.z", "server#i.d-1.name=", "volume.a=2"]) == {
        VOLUME: {"a": "2", "b": "x=y.z"},
        f"{SERVER}#i.d-1": {"name": ""},
    }


@pytest.mark.parametrize("text", ["volume", "volume.a", "volume=1", ".a=1", "volume.=1", "=1", "volume#.a=1", "#x.a=1"])
def test_half_an_option_is_wrong_usage(text: str) -> None:
    with pytest.raises(click.UsageError, match="is no option"):
        parameters([text])


ROW: dict[str, Any] = {
    "id": "c",
    "resources": [
        {"type": SERVER, "id": "1", "name": "web"},
        {"type": VOLUME, "id": "2", "name": "web"},
        {"type": VOLUME, "id": "3", "name": "data"},
        {"type": VOLUME, "id": "4", "name": "data"},
        {"type": VOLUME, "id": "5", "name": "4"},
    ],
}


def found(*texts: str) -> list[Ref]:
    return [checkpoint(ROW).one(thing) for thing in things(texts)]


def test_resources_of_a_checkpoint_by_name_or_id() -> None:
    assert found("server/web", "volume/web", "volume/3") == [Ref(SERVER, "1"), Ref(VOLUME, "2"), Ref(VOLUME, "3")]


def test_an_id_wins_over_the_same_name() -> None:
    assert found("volume/4") == [Ref(VOLUME, "4")]


def test_a_name_that_fits_two_lists_the_ids() -> None:
    with pytest.raises(Ambiguous, match="3, 4; give the id"):
        found("volume/data")


def test_what_is_not_in_the_checkpoint_is_told_with_what_is() -> None:
    with pytest.raises(NotFound, match=r"holds no OS::Nova::Server 'data'; it holds .* 'web'"):
        found("server/data")


def test_options_find_their_resource_by_name_or_id() -> None:
    given = parameters(["volume#web.a=1", "volume#2.b=2", "volume.c=3", "server#1.d=4"])
    assert addressed(given, checkpoint(ROW)) == {
        f"{VOLUME}#2": {"a": "1", "b": "2"}, VOLUME: {"c": "3"}, f"{SERVER}#1": {"d": "4"},
    }  # fmt: skip


@pytest.mark.parametrize(("text", "error"), [("volume#nobody.a=1", NotFound), ("volume#data.a=1", Ambiguous)])
def test_options_for_nobody_or_for_one_of_two_are_refused(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        addressed(parameters([text]), checkpoint(ROW))
