"""docs/restore.md names the choices and states that the code has, and leaves no protected type out."""

from __future__ import annotations

import re

import click
import pytest
from doc_text import read, rows

from karbor import main
from karbor.plugins import registry
from karbor.plugins.keypair.facts import KeyPairFacts, name_beside
from karbor.plugins.server.protect import PROTECTABLE
from karbor.plugins.volume.protect import PROTECTED_STATES

TEXT = read("docs/restore.md")


@pytest.mark.parametrize("option", ["--surroundings", "--on-failure"])
def test_every_choice_that_is_no_default_is_explained(option: str) -> None:
    command = main.karbor.commands["restore"]
    (found,) = (parameter for parameter in command.params if option in parameter.opts)
    assert isinstance(found.type, click.Choice)
    for choice in found.type.choices:
        assert f"`{option} {choice}`" in TEXT or choice == found.default


def test_every_type_has_its_row() -> None:
    told = " ".join(row[0] for row in rows(TEXT.split("## What comes back\n")[1], "resource"))
    for word in set(registry.kinds()) - {"project"}:  # a project is nothing but its resources
        assert word.replace("keypair", "key pair").replace("_", " ") in told


def test_the_states_that_can_be_protected() -> None:
    (servers,) = re.findall(r"Servers that are not ([A-Z]+), ([A-Z]+) or ([A-Z]+)", TEXT)
    assert set(servers) == PROTECTABLE
    assert PROTECTED_STATES == ("available", "in-use")
    assert "volumes that are not available or in use" in TEXT


def test_how_a_key_pair_beside_another_is_called() -> None:
    assert re.fullmatch(r"me-karbor-[0-9a-f]{8}", name_beside(KeyPairFacts(name="me", fingerprint="aa:bb")))
    assert "ending in `-karbor-` and eight digits" in TEXT
