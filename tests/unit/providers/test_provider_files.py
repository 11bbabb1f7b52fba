"""Providers come from files; a mistake in one is a single clear line that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from karbor.model.errors import Invalid, NotFound
from karbor.providers import NOOP, OS_INFRA, find_provider, load_providers

GOOD = """
[provider]
id = 11111111-2222-3333-4444-555555555555
name = Volumes only
description = Backups of volumes
plugin =
  volume
  image
bank = file_system
enabled = true

[bank]
path = {bank}

[wait]
wait = 60
wait_per_gib = 5
"""


def write(state: Path, text: str) -> None:
    folder = state / "providers.d"
    folder.mkdir()
    (folder / "volumes.conf").write_text(text.format(bank=state / "elsewhere"))


def test_without_files_there_are_the_defaults(tmp_path: Path) -> None:
    providers = load_providers(tmp_path)
    assert list(providers) == [OS_INFRA, NOOP]
    assert find_provider(providers, None).id == OS_INFRA
    assert find_provider(providers, "No-op").id == NOOP
    with pytest.raises(NotFound, match="OS Infra"):
        find_provider(providers, "nobody")


def test_a_file_replaces_them(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    (provider,) = load_providers(tmp_path).values()
    assert provider.name == "Volumes only"
    assert set(provider.plugins) == {"OS::Cinder::Volume", "OS::Glance::Image"}
    assert provider.waits == {"wait": 60.0, "wait_per_gib": 5.0}
    assert provider.archive.bank.properties.location == str(tmp_path / "elsewhere")


def test_a_disabled_one_does_not_count(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("enabled = true", "enabled = false"))
    assert OS_INFRA in load_providers(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("plugin =\n  volume", "plugin =\n  volumes", "'volumes'"),
        ("name = Volumes only\n", "", "'name'"),
        ("bank = file_system", "bank = cupboard", "cupboard"),
        ("wait = 60", "wait = long", "long"),
        ("wait_per_gib", "waits_per_gib", r"\[wait\] has \['waits_per_gib'\]"),
        ("[provider]", "provider", "volumes.conf"),
        ("  volume\n  image", "  volume\n  noop", "both serve OS::Cinder::Volume"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, reason: str) -> None:
    write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(Invalid, match=reason):
        load_providers(tmp_path)


def test_options_of_a_resource_go_before_those_of_its_type(tmp_path: Path) -> None:
    provider = load_providers(tmp_path)[OS_INFRA]
    volume = "OS::Cinder::Volume"
    parameters = {volume: {"backup_mode": "incremental"}, f"{volume}#one": {"backup_mode": "full"}}
    assert provider.options("protect", "OS::Cinder::Volume", "one", parameters).backup_mode == "full"
    assert provider.options("protect", "OS::Cinder::Volume", "two", parameters).backup_mode == "incremental"
    with pytest.raises(Invalid, match="OS::Nowhere::Thing"):
        provider.check_parameters({"OS::Nowhere::Thing": {}})
    with pytest.raises(Invalid, match="colour"):
        provider.options("protect", "OS::Cinder::Volume", "one", {"OS::Cinder::Volume": {"colour": "red"}})
