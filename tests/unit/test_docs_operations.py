"""docs/operations.md is true: its provider file is read, its keys, statuses and sentences are the code's."""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click
import pytest
from doc_text import ROOT, blocks, read, rows

from karbor import main, notifier
from karbor.cli import results, running
from karbor.cli.choices import Choices
from karbor.cli.workplace import Workplace
from karbor.cloud.blockstorage import BACKUP, SNAPSHOT, VOLUME
from karbor.cloud.networks import NETWORK
from karbor.cloud.servers import SERVER
from karbor.engine.events import tell_rest
from karbor.engine.scope import Settings
from karbor.model.resource import Ref
from karbor.plugins import registry
from karbor.providers import OS_INFRA, load_providers
from karbor.store import journal, operations, schema
from karbor.testing.rig import Rig

TEXT = read("docs/operations.md")
(PROVIDER,) = blocks(TEXT, "ini")
STUCK = [(kind, kind.freed_by) for kind in (VOLUME, SNAPSHOT, BACKUP)] + [(SERVER, {"build"})]
"""In which states which kinds are an administrator's to free."""


@pytest.fixture
def config() -> configparser.ConfigParser:
    found = configparser.ConfigParser()
    found.read_string(PROVIDER)
    return found


def test_the_provider_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "providers.d").mkdir()
    bank = tmp_path / "elsewhere"
    (tmp_path / "providers.d" / "infra.conf").write_text(PROVIDER.replace("/srv/karbor/bank", str(bank)))
    (provider,) = load_providers(tmp_path).values()
    assert provider.id == OS_INFRA
    assert provider.archive.bank.properties.location == str(bank)
    chosen = [plugin for name, plugin in registry.protections().items() if name != "noop"]
    assert set(provider.plugins.values()) == set(chosen)
    assert replace(Settings(), **dict[str, Any](provider.waits)) == Settings()  # it shows the defaults


def test_every_key_is_explained(config: configparser.ConfigParser) -> None:
    shown = {key for section in config.sections() for key in config[section]}
    assert {row[0].strip("`") for row in rows(TEXT, "key")} == shown
    assert set(config["wait"]) == {field.name for field in fields(Settings)} - {"tries"}
    assert "four calls in all" in TEXT
    assert Settings().tries == 4


def test_the_defaults_in_the_table_are_those_of_the_code() -> None:
    told = {row[0].strip("`"): row[1] for row in rows(TEXT, "key")}
    for field in fields(Settings):
        if field.name in told:
            assert float(told[field.name]) == getattr(Settings(), field.name)


def test_the_state_folder_holds_what_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with Rig(folder) as rig:
        rig.protect(Ref(NETWORK.type, NETWORK.post(rig.cloud(), {"name": "front"})))
        found = {path.name + "/" * path.is_dir() for path in folder.iterdir()}
    assert folder.stat().st_mode & 0o777 == 0o700
    told = {row[0].strip("`") for row in rows(TEXT, "in DIR")}
    beside = {"karbor.db-wal", "karbor.db-shm"}
    assert found - beside <= told
    assert {"karbor.db", "bank/", "clouds.yaml", "sandbox/"} <= found


def test_the_exit_statuses() -> None:
    told = {int(row[0]) for row in rows(TEXT, "status")}
    assert told == {
        results.GOOD, results.FAILED, results.PARTIAL, running.INTERRUPTED, click.UsageError("").exit_code
    }  # fmt: skip
    assert main.run(["nonsense"]) == 2
    assert main.run(["operation", "show", "nothing"]) == 1


@pytest.mark.parametrize("phase", ["forward", "kept", "rollback"])
def test_what_is_said_of_an_unfinished_operation(phase: str, tmp_path: Path) -> None:
    row = {"id": "ID", "operation_type": "restore", "phase": phase}
    said = Workplace(Choices(state=tmp_path)).sentence(row)
    shown = [row[0].strip('"') for row in rows(TEXT, "what you see") if row[0].startswith('"')]
    assert len(shown) == 3
    assert sum(words in said for words in shown) == 1


def test_the_commands_that_messages_name_are_told() -> None:
    named = {kind.way_out({"id": kind.name.upper(), "status": state}) for kind, states in STUCK for state in states}
    commands = {command for said in named for command in re.findall("`(.*)`", said)}
    assert commands
    assert {command for command in commands if f"$ {command} " not in TEXT} == set()


def test_a_claim_ends_when_it_says() -> None:
    assert f"ends {journal.LEASE_SECONDS:.0f} seconds after" in TEXT


def test_every_event_is_told() -> None:
    sources = [path.read_text() for path in (ROOT / "src" / "karbor" / "api" / "v1").glob("*.py")]
    sent = {name for text in sources for name in re.findall(r'events\.told\(\s*service, request, "(\w+)"', text)}
    assert len(sent) == 13
    assert {name for row in rows(TEXT, "request") for name in re.findall(r"`(\w+)`", row[1])} == sent
    ends = {name for row in rows(TEXT, "event") for name in re.findall(r"`([\w.]+)`", row[0])}
    assert ends == {f"karbor.{verb}.{how}" for verb in operations.STARTED for how in ("end", "error")}


def test_what_is_told_of_the_end_of_work() -> None:
    columns = {column.name: "" for column in schema.operations.columns}
    told: list[Mapping[str, Any]] = []
    tell_rest(lambda _, payload: told.append(payload), {**columns, "status": "error"})
    assert {name for name in told[0] if f"`{name}`" not in TEXT} == set()
    assert f"up to {notifier.KEPT} notifications" in TEXT
