"""What Karbor 1.6 left behind is known for what it is, said in one line, and not touched: bank, database, providers."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import click.testing
import pytest
from doc_text import read

from karbor import main
from karbor.cloud.connection import Cloud
from karbor.cloud.networks import NETWORK
from karbor.sandbox import Sandbox
from karbor.serving.manage import manage
from karbor.serving.status import status

CHECKPOINT, VOLUME, PROJECT = "dcb20606-ad71-40a3-80e4-ef0fafdad0c3", "2a9bd6ad-30dc-4f8b-9f2b-2d6e2e9a5f1b", "0f" * 16
OBJECTS = {
    f"checkpoints/{CHECKPOINT}/index.json": {"version": "0.9", "id": CHECKPOINT, "status": "available"},
    f"checkpoints/{CHECKPOINT}/resource-data/{VOLUME}/metadata": {"volume_id": VOLUME, "backup_id": CHECKPOINT},
    f"checkpoints/{CHECKPOINT}/resource-data/{VOLUME}/status": "available",
    f"indices/by-date/2020-06-01/{PROJECT}/1591000000@{CHECKPOINT}": CHECKPOINT,
}
IMPORT = ("checkpoint", "import", "--all-projects")
PROVIDER = """
[provider]
name = OS Infra Provider
id = cf56bd3e-97a7-4078-b6d5-f36246333fd9
enabled = True
plugin=karbor-volume-protection-plugin
plugin=karbor-server-protection-plugin
bank=karbor-fs-bank-plugin

[file_system_bank_plugin]
file_system_bank_path=/srv/karbor
"""


@pytest.fixture(params=["the folder of its container", "the folder above"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A bank as its file system bank wrote it, which a person may name in two ways."""
    bank = tmp_path / "bank"
    container = bank if request.param == "the folder of its container" else bank / "karbor"
    for key, value in OBJECTS.items():
        file = container / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(value if isinstance(value, str) else json.dumps(value))
    return bank


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def provider(state: Path, bank: Path) -> None:
    (state / "providers.d").mkdir(parents=True)
    text = f"[provider]\nid = {CHECKPOINT}\nname = Old\nenabled = true\nplugin = network\n[bank]\npath = {bank}\n"
    (state / "providers.d" / "old.conf").write_text(text)


def sync(database: Path, tmp_path: Path) -> click.testing.Result:
    (tmp_path / "karbor.conf").write_text(f"[database]\nconnection = sqlite:///{database}\n")
    return click.testing.CliRunner().invoke(manage, ["db", "sync", "--config-file", str(tmp_path / "karbor.conf")])


@pytest.mark.parametrize("words", [IMPORT, ("protect", "network/front")], ids=" ".join)
def test_its_bank_is_neither_read_nor_written(
    words: tuple[str, ...], old: Path, sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    provider(state, old)
    NETWORK.post(Cloud.connect("sandbox", state=state), {"name": "front"})
    before = written(old)
    assert main.run(["--state", str(state), "--cloud", "sandbox", *words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"the bank at {old} holds checkpoints of Karbor 1 " in line
    assert f"checkpoints/{CHECKPOINT}/index.json" in line
    assert '"Coming from Karbor 1.6"' in line and "## Coming from Karbor 1.6\n" in read("docs/installation.md")
    assert written(old) == before
    assert main.run(["--state", str(state), "--cloud", "sandbox", "--format", "json", "checkpoint", "list"]) == 0
    assert json.loads(capsys.readouterr().out) == {"checkpoints": []}


def test_the_upgrade_check_says_so_before_the_service_starts(old: Path, tmp_path: Path) -> None:
    provider(tmp_path, old)
    file = tmp_path / "karbor.conf"
    file.write_text(f"[DEFAULT]\nstate_path = {tmp_path}\nprovider_config_dir = {tmp_path}/providers.d\n")
    done = click.testing.CliRunner().invoke(status, ["upgrade", "check", "--config-file", str(file)])
    assert done.exit_code == 2
    assert "holds checkpoints of Karbor 1 " in " ".join(done.output.replace("|", " ").split())


def test_its_database_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    database = tmp_path / "karbor.db"
    with sqlite3.connect(database) as connection:
        connection.executescript("create table migrate_version (version int); create table plans (id varchar(36));")
    done = sync(database, tmp_path)
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert "has the tables migrate_version, plans of Karbor 1 or of something else" in done.output
    with sqlite3.connect(database) as connection:
        tables = connection.execute("select name from sqlite_master where type = 'table' order by name").fetchall()
    assert tables == [("migrate_version",), ("plans",)]


def test_its_provider_files_are_named_with_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "providers.d").mkdir()
    file = tmp_path / "providers.d" / "infra.conf"
    for text, wrong in (
        (PROVIDER, "option 'plugin' in section 'provider' already exists"),
        (PROVIDER.replace("plugin=karbor-server-protection-plugin\n", ""), "'karbor-volume-protection-plugin'"),
    ):
        file.write_text(text)
        assert main.run(["--state", str(tmp_path), *IMPORT]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert str(file) in line and wrong in line
