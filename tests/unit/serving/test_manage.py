"""`karbor-manage` and `karbor-status`: the database's schema, old rows, Keystone's catalogue and user."""

from __future__ import annotations

import configparser
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import click.testing
import pytest
import sqlalchemy as sa

from karbor import config
from karbor.cloud.connection import Cloud
from karbor.cloud.delegation import Delegation
from karbor.sandbox import Sandbox
from karbor.serving.manage import manage
from karbor.serving.status import status
from karbor.store import checkpoints, operations, schema, upkeep
from karbor.testing.databases import open_test_state, state_address

LONG_AGO = "2020-01-01T00:00:00.000000"


def run(*words: str, command: click.Command = manage) -> click.testing.Result:
    return click.testing.CliRunner().invoke(command, words)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration whose database is not there yet."""
    found = tmp_path / "karbor.conf"
    found.write_text(
        f"[DEFAULT]\nstate_path = {tmp_path}\nprovider_config_dir = {tmp_path}/providers.d\n"
        f"secret_key_file = {tmp_path}/secret.key\n[database]\nconnection = {state_address(tmp_path)}\n"
    )
    return found


def lines(done: click.testing.Result) -> dict[str, str]:
    """What was done, by thing."""
    assert done.exit_code == 0, done.output
    return dict(line.rsplit(": ", 1) for line in done.output.splitlines())


def test_sync_makes_the_schema_and_version_tells_it(file: Path) -> None:
    assert run("db", "version", "--config-file", str(file)).output == "none\n"
    assert run("db", "sync", "--config-file", str(file)).output == f"schema {upkeep.newest()}: made from nothing\n"
    assert run("db", "sync", "--config-file", str(file)).output == f"schema {upkeep.newest()}: is there\n"
    assert run("db", "version", "--config-file", str(file)).output == f"{upkeep.newest()}\n"


def test_a_database_that_cannot_be_opened_is_one_line(file: Path, tmp_path: Path) -> None:
    text = file.read_text().partition("connection = ")[0]
    file.write_text(f"{text}connection = sqlite:///{tmp_path}/no/such/folder/karbor.db\n")
    done = run("db", "sync", "--config-file", str(file))
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert "cannot be opened" in done.output
    file.write_text(f"{text}connection = mysql+nothing://karbor:hidden@127.0.0.1/no\n")
    done = run("db", "version", "--config-file", str(file))
    assert done.exit_code == 1
    assert "hidden" not in done.output


def test_the_service_starts_on_no_other_schema(file: Path, tmp_path: Path) -> None:
    address = state_address(tmp_path)
    with pytest.raises(Exception, match="karbor-manage db sync"):
        upkeep.check(address)
    run("db", "sync", "--config-file", str(file))
    upkeep.check(address)
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(Exception, match="newer Karbor"):
        upkeep.check(address)


def _checkpoint(database: sa.Engine, id: str, status: str, ended_at: str) -> None:
    facts = {"provider_id": "p", "plan": {}, "resources": [], "extra_info": {}, "cloud": {}, "created_at": ended_at}
    with database.begin() as connection:
        checkpoints.put(connection, {"id": id, "project_id": "mine", "status": status, "ended_at": ended_at, **facts})


def _operation(database: sa.Engine, checkpoint: str, verb: str, ended_at: str | None) -> str:
    with database.begin() as connection:
        id = operations.add(
            connection, operation_type=verb, status="success", checkpoint_id=checkpoint, request={}, project_id="mine",
            provider_id="p", cloud={}, runner="service",
        )  # fmt: skip
    operations.update(database, id, phase="ended" if ended_at else "forward", ended_at=ended_at)
    return id


def _firings(database: sa.Engine, runs: dict[str, tuple[str, str | None]]) -> None:
    """Firings of long ago, by id: (status, operation)."""
    with database.begin() as connection:
        facts = {"project_id": "mine", "created_at": LONG_AGO}
        connection.execute(sa.insert(schema.triggers).values(id="t", name="t", type="time", properties={}, **facts))
        connection.execute(
            sa.insert(schema.scheduled_operations).values(
                id="s", user_id="me", name="s", operation_type="protect", trigger_id="t", operation_definition={},
                credential="sealed", **facts,
            )
        )  # fmt: skip
        for id, (status, operation) in runs.items():
            connection.execute(
                sa.insert(schema.firings).values(
                    id=id, scheduled_operation_id="s", due_at=LONG_AGO[:-1] + id, status=status, operation_id=operation
                )
            )


def test_purge_forgets_what_ended_long_ago_and_nothing_else(file: Path, tmp_path: Path) -> None:
    database = open_test_state(tmp_path)
    now = "2999-01-01T00:00:00.000000"
    for id, state, when in (("gone", "deleted", LONG_AGO), ("there", "available", LONG_AGO), ("late", "deleted", now)):
        _checkpoint(database, id, state, when)
    doomed = {
        _operation(database, "gone", "protect", LONG_AGO),
        _operation(database, "gone", "delete", LONG_AGO),
        _operation(database, "there", "restore", LONG_AGO),
    }
    unrevoked = _operation(database, "there", "restore", LONG_AGO)
    operations.update(database, unrevoked, credential="sealed")
    kept = {
        unrevoked,
        _operation(database, "there", "protect", LONG_AGO),
        _operation(database, "there", "restore", now),
        _operation(database, "there", "verify", None),
    }
    _firings(
        database,
        {"a": ("due", None), "b": ("dropped", None), "c": ("started", min(doomed)), "d": ("started", min(kept))},
    )
    done = run("db", "purge", "30", "--config-file", str(file))
    assert lines(done) == {"operations": "3 removed", "firings": "2 removed", "checkpoints": "1 removed"}
    with database.connect() as connection:
        left = set(connection.execute(sa.select(schema.operations.c.id)).scalars())
        assert (left, left & doomed) == (kept, set())
        assert set(connection.execute(sa.select(schema.checkpoints.c.id)).scalars()) == {"there", "late"}
        assert set(connection.execute(sa.select(schema.firings.c.id)).scalars()) == {"a", "d"}
    assert run("db", "purge", "-1", "--config-file", str(file)).exit_code == 2


def test_register_enters_all_and_changes_nothing_the_second_time(sandbox: Sandbox, tmp_path: Path) -> None:
    credentials = tmp_path / "conf.d" / "keystone.conf"
    words = ("register", "--os-cloud", "sandbox-admin", "--url", "http://127.0.0.1:8799", "--user", "protector")
    words = (*words, "--credentials", str(credentials))
    first = lines(run(*words))
    assert first["service data-protect"] == "entered"
    assert first["user protector"] == "entered"
    assert first["role service in project service"] == "given"
    assert [told for thing, told in first.items() if " endpoint " in thing] == ["entered"] * 3
    assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
    written = credentials.read_text()

    second = lines(run(*words))
    assert set(second.values()) == {"is there"}
    assert credentials.read_text() == written

    moved = lines(run(*words[:4], "https://karbor.example", *words[5:]))
    assert {told for thing, told in moved.items() if " endpoint " in thing} == {
        "changed from http://127.0.0.1:8799/v1/$(project_id)s"
    }
    cloud = Cloud.connect("sandbox-admin")
    assert len(cloud.get("identity", "/endpoints", params={"region_id": "sandbox"})["endpoints"]) == 6 * 3 + 3


def test_what_register_writes_lets_the_service_in(sandbox: Sandbox, tmp_path: Path, file: Path) -> None:
    credentials = tmp_path / "keystone.conf"
    words = ("register", "--os-cloud", "sandbox-admin", "--url", "http://127.0.0.1:8799", "--user", "protector")
    words = (*words, "--credentials", str(credentials))
    run(*words)
    settings = config.settings([file, credentials])
    member = Cloud.connect("sandbox")
    delegation = Delegation(**config.service_login(settings))
    assert delegation.auth_url == f"{sandbox.url}/identity/v3"
    answers: list[str] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        answers.append(environ["HTTP_X_PROJECT_ID"])
        start_response("200 OK", [])
        return [b""]

    guarded = config.identity(settings)(application)
    told: list[str] = []

    def start_response(line: str, headers: object, exc_info: object = None) -> None:
        told.append(line[:3])

    token = member.request("GET", "identity", "/auth/projects").request.headers["X-Auth-Token"]
    for word in (token, "nonsense"):
        environ: dict[str, Any] = {"HTTP_X_AUTH_TOKEN": word}
        setup_testing_defaults(environ)
        list(guarded(environ, start_response))
    assert answers == [member.project_id]
    assert told == ["200", "401"]

    again = lines(run(*words, "--new-password"))
    assert again["user protector"] == "is there, with a new password"
    read = configparser.ConfigParser(interpolation=None)
    read.read(credentials)
    assert read["keystone_authtoken"]["password"] != settings.keystone_authtoken.password


def test_register_is_an_admins(sandbox: Sandbox, tmp_path: Path) -> None:
    words = ("register", "--os-cloud", "sandbox", "--url", "http://127.0.0.1:8799")
    done = run(*words, "--credentials", str(tmp_path / "keystone.conf"))
    assert done.exit_code == 1
    assert "403" in done.output
    assert not (tmp_path / "keystone.conf").exists()


def test_register_changes_nothing_where_it_could_not_keep_the_password(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    words = ("register", "--os-cloud", "sandbox-admin", "--url", "http://127.0.0.1:8799", "--user", "protector")
    done = run(*words, "--credentials", str(tmp_path / "file" / "keystone.conf"))
    assert done.exit_code == 1
    assert "cannot be written" in done.output
    assert Cloud.connect("sandbox-admin").get("identity", "/users", params={"name": "protector"})["users"] == []


@pytest.mark.parametrize(
    "words",
    [
        ["register", "--os-cloud", "sandbox-admin", "--url", "127.0.0.1"],
        ["register", "--url", "http://127.0.0.1"],
        ["db", "purge", "many"],
    ],
)
def test_wrong_usage(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OS_CLOUD", raising=False)
    assert run(*words).exit_code == 2


def test_upgrade_check(sandbox: Sandbox, tmp_path: Path, file: Path) -> None:
    done = run("upgrade", "check", "--config-file", str(file), command=status)
    assert done.exit_code == 2
    said = " ".join(done.output.replace("|", " ").split())  # the table breaks lines where it has to
    assert "must say auth_url" in said
    assert "karbor-manage db sync" in said

    credentials = tmp_path / "keystone.conf"
    run("register", "--os-cloud", "sandbox-admin", "--url", "http://127.0.0.1:1", "--credentials", str(credentials),
        "--new-password")  # fmt: skip
    run("db", "sync", "--config-file", str(file))
    files = ("--config-file", str(file), "--config-file", str(credentials))
    done = run("upgrade", "check", *files, command=status)
    assert done.exit_code == 1, done.output
    warned = ["Success", "Warning"][state_address(tmp_path).startswith("sqlite")]  # SQLite is for one host only
    results = sorted(line.split()[2] for line in done.output.splitlines() if "Result: " in line)
    assert results == sorted(["Success", "Warning", "Warning", warned])
    assert not (tmp_path / "secret.key").exists()
    assert len({len(line) for line in done.output.splitlines()}) == 1

    good = file.read_text()
    (tmp_path / "policy.yaml").write_text('plan:create: "role:admin\n')
    for more, words in (
        ("[keystone_authtoken]\ncafile = /nowhere/ca.pem\n", "/nowhere/ca.pem cannot be read"),
        ("[oslo_messaging_notifications]\ndriver = messagingv2\ntransport_url = pigeon://loft/\n", "pigeon"),
        (f"[oslo_policy]\npolicy_file = {tmp_path}/policy.yaml\n", "policy.yaml: it cannot be read"),
    ):
        file.write_text(f"{good}\n{more}")
        done = run("upgrade", "check", *files, command=status)
        assert done.exit_code == 2
        assert words in " ".join(done.output.replace("|", " ").split())

    file.write_text("[DEFAULT]\nmin_interval = soon\n")
    assert run("upgrade", "check", "--config-file", str(file), command=status).exit_code == 255
