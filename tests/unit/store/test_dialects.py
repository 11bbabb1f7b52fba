"""What every database has to keep as it is: exact times, large documents, any text, and who was first."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from karbor.model.errors import Conflict, QuotaExceeded
from karbor.model.resource import Ref, Resource, ResourceGraph
from karbor.store import checkpoints, operations, plans, quotas, records, schema, services
from karbor.store.database import again, open_database
from karbor.store.database import clock as database_clock
from karbor.store.journal import LEASE_SECONDS, Journal
from karbor.testing import databases
from karbor.testing.databases import open_test_state

COMMON = {
    "operation_type": "protect", "project_id": "p", "provider_id": "x", "checkpoint_id": "c", "status": "protecting",
    "runner": "service", "cloud": {}, "request": {},
}  # fmt: skip
CHECKPOINT = {
    "project_id": "p", "provider_id": "x", "status": "available", "plan": {}, "resources": [], "extra_info": {},
    "cloud": {}, "created_at": "2026-01-01T00:00:00.000001",
}  # fmt: skip


server_only = pytest.mark.skipif(
    databases.SERVER not in os.environ, reason="SQLite has no server; KARBOR_TEST_DATABASE=mariadb or =postgresql has"
)


@pytest.fixture
def database(tmp_path: Path) -> sa.Engine:
    return open_test_state(tmp_path / "state")


def add(database: sa.Engine, **more: Any) -> str:
    with database.begin() as connection:
        return operations.add(connection, **{**COMMON, **more})


def at_once(count: int, work: Callable[[int], object]) -> list[object]:
    """What `work` gave, or raised, in so many threads that begin together."""
    together, results = threading.Barrier(count), []

    def run(number: int) -> None:
        together.wait(60)
        try:
            results.append(work(number))
        except Exception as error:  # noqa: BLE001 - judged by the test
            results.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_lease_is_kept_to_the_millisecond(database: sa.Engine) -> None:
    id = add(database)
    operations.claim(database, id, "one")
    operations.INSTANCES.discard("one")
    with database.connect() as connection:
        now = connection.execute(sa.select(database_clock(database))).scalar_one()
    assert 0 <= now + LEASE_SECONDS - operations.get(database, id)["lease_until"] < 5
    exact = 1_790_000_000.125
    operations.update(database, id, lease_until=exact)
    assert operations.get(database, id)["lease_until"] == exact


def test_the_clock_is_utc_whatever_the_zone_of_the_server(database: sa.Engine) -> None:
    with database.connect() as connection:
        before = connection.execute(sa.select(database_clock(database))).scalar_one()
        if connection.dialect.name == "mysql":
            connection.exec_driver_sql("SET time_zone = '+05:00'")
        after = connection.execute(sa.select(database_clock(database))).scalar_one()
        connection.invalidate()
    assert isinstance(after, float) and 0 <= after - before < 60


def test_a_sign_of_life_is_recent(database: sa.Engine) -> None:
    id = services.beat(database, "here", services.PROTECTION)["id"]
    row = services.get(database, id)
    assert row["up"]
    with database.connect() as connection:
        now = connection.execute(sa.select(database_clock(database))).scalar_one()
    assert 0 <= now - row["updated_at"] < 5


def test_a_graph_of_5000_resources_is_read_back(database: sa.Engine) -> None:
    graph = ResourceGraph()
    refs = [Ref("OS::Cinder::Volume", f"{number:036}") for number in range(5000)]
    for ref in refs:
        graph.add(Resource(ref, "volume \N{GRINNING FACE}" * 8))
    graph.link(refs[0], refs[1:])
    id = add(database, graph=graph.to_json())
    assert operations.get(database, id)["graph"] == graph.to_json()
    made = records.protections(database, [COMMON["checkpoint_id"]])["c"]
    assert (made["id"], json.loads(made["graph"])) == (id, graph.to_json())


def test_long_reasons_are_kept_whole(database: sa.Engine) -> None:
    text = "what was tried on which resource, and why it failed \N{GRINNING FACE}\n" * 20_000
    id = add(database, error_info=text)
    assert operations.get(database, id)["error_info"] == text


def test_progress_counts_the_bytes_of_large_images(database: sa.Engine) -> None:
    id = add(database)
    journal = Journal(database, id, operations.claim(database, id, "one"))
    journal.put_result(0, status="protecting", reason="", done=5 << 40, total=6 << 40, unit="bytes")
    journal.close()
    operations.INSTANCES.discard("one")
    result = operations.results(database, id)[0]
    assert (result["done"], result["total"]) == (5 << 40, 6 << 40)


def test_texts_differ_by_case_and_accent(database: sa.Engine) -> None:
    names = ["default", "Default", "d\u00e9fault"]
    with database.begin() as connection:
        for number, name in enumerate(names):
            quotas.set_class_limits(connection, name, {"plans": number})
        found = [quotas.class_limits(connection, name, dict.fromkeys(quotas.RESOURCES, -1))["plans"] for name in names]
    assert found == [0, 1, 2]


def test_names_are_kept_in_every_script(database: sa.Engine) -> None:
    name = "\N{GRINNING FACE}" * 255
    with database.begin() as connection:
        row = plans.add(
            connection, project_id="p", user_id="u", name=name, provider_id="x", resources=[], parameters={}
        )
    assert plans.get(database, row["id"])["name"] == name


def test_of_many_claims_at_once_one_is_good(database: sa.Engine) -> None:
    for _ in range(5):
        id = add(database)
        found = at_once(8, lambda number, id=id: operations.claim(database, id, f"engine-{number}"))
        assert sorted(map(str, found))[0] == "1"
        assert [type(one) for one in found if one != 1] == [operations.AlreadyClaimed] * 7, found
    for number in range(8):
        operations.INSTANCES.discard(f"engine-{number}")


def test_of_many_that_are_over_the_quota_together_as_many_are_let_in_as_it_allows(database: sa.Engine) -> None:
    allowed = {"plans": -1, "checkpoints": 3, "gigabytes": -1}

    def take(number: int) -> str:
        with database.begin() as connection:
            quotas.check(connection, "p", ["checkpoints"], allowed)
            checkpoints.put(connection, {**CHECKPOINT, "id": f"checkpoint-{number}"})
        return "in"

    found = at_once(12, take)
    assert sum(one == "in" for one in found) == 3, found
    assert all(isinstance(one, QuotaExceeded) for one in found if one != "in"), found
    assert len(checkpoints.rows(database)) == 3


def test_new_rows_of_many_projects_at_once_are_all_let_in(database: sa.Engine) -> None:
    def take(number: int) -> str:
        for turn in range(10):
            with database.begin() as connection:
                quotas.check(connection, f"p{number}", ["checkpoints"], dict.fromkeys(quotas.RESOURCES, -1))
                row = {**CHECKPOINT, "id": f"{turn}-{number}", "project_id": f"p{number}"}
                checkpoints.put(connection, row)
                operations.add(connection, **{**COMMON, "checkpoint_id": row["id"], "project_id": f"p{number}"})
        return "in"

    assert at_once(12, take) == ["in"] * 12
    assert len(checkpoints.rows(database)) == 120


def test_processes_that_first_show_up_together_have_one_row(database: sa.Engine) -> None:
    for host in map(str, range(5)):
        found = at_once(8, lambda _, host=host: services.beat(database, host, services.PROTECTION)["id"])
        assert len({*found}) == 1, found
        assert len(services.rows(database, host=host)) == 1


def test_an_engine_that_was_overtaken_is_not_let_in_by_an_older_view(database: sa.Engine) -> None:
    id = add(database)
    stale = operations.claim(database, id, "stale")
    operations.INSTANCES.discard("stale")
    operations.claim(database, id, "fresh")
    operations.release(database, id, stale, status="error")
    row = operations.get(database, id)
    assert (row["status"], row["owner"]["instance"]) == ("protecting", "fresh")
    with pytest.raises(Conflict, match="has changed in this moment"):
        operations.reopen(database, {**row, "epoch": stale})
    operations.INSTANCES.discard("fresh")


def test_a_reader_waits_for_no_writer(database: sa.Engine) -> None:
    id = add(database)
    with database.begin() as connection:
        connection.execute(sa.update(schema.operations).where(schema.operations.c.id == id).values(cancel=True))
        assert operations.get(database, id)["cancel"] is False
    assert operations.get(database, id)["cancel"] is True


def test_what_a_project_uses_is_counted_without_its_large_rows(database: sa.Engine) -> None:
    told: list[str] = []

    def explain(connection: sa.Connection, _: object, statement: str, parameters: Any, *__: object) -> None:
        if statement.startswith("SELECT count(*)") and "bytes_in_bank" in statement:
            words = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
            told.append(str(connection.exec_driver_sql(f"{words} {statement}", parameters).all()))

    sa.event.listen(database, "before_cursor_execute", explain)
    with database.begin() as connection:
        for number in range(20):
            row = {**CHECKPOINT, "id": str(number), "project_id": "pq"[number % 2], "bytes_in_bank": number << 30}
            checkpoints.put(connection, row)
    if database.dialect.name == "postgresql":  # knows what its tables are like when it has cleaned up
        with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE checkpoints")
    with database.begin() as connection:
        if database.dialect.name == "postgresql":  # and reads one as small as this from end to end
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        told.clear()
        assert quotas.usage(connection, "p") == {"plans": 0, "checkpoints": 10, "gigabytes": 90}
    assert len(told) == 1 and "checkpoints_by_usage" in told[0]
    words = {"sqlite": "COVERING INDEX", "postgresql": "Index Only Scan"}
    assert words.get(database.dialect.name, "Using index") in told[0]


@server_only
def test_a_connection_that_the_server_has_closed_is_not_used(database: sa.Engine) -> None:
    id = add(database)
    mine, kill = {
        "postgresql": ("pg_backend_pid()", "SELECT pg_terminate_backend({})"),
    }.get(database.dialect.name, ("connection_id()", "KILL {}"))
    with database.connect() as connection:
        ours = connection.exec_driver_sql(f"SELECT {mine}").scalar_one()
    other = sa.create_engine(database.url)
    with other.connect() as connection:
        connection.exec_driver_sql(kill.format(ours))
    other.dispose()
    assert operations.get(database, id)["id"] == id


def test_all_tables_are_as_the_code_says(database: sa.Engine) -> None:
    with database.connect() as connection:
        found = sa.inspect(connection)
        for table in schema.metadata.sorted_tables:
            columns = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
            assert columns == {column.name: column.nullable for column in table.columns}
            keys = {
                (*key["constrained_columns"], key["options"].get("ondelete"))
                for key in found.get_foreign_keys(table.name)
            }
            assert keys == {(key.parent.name, key.ondelete) for key in table.foreign_keys}


def on_mariadb(database: sa.Engine) -> None:
    if database.dialect.name not in ("mysql", "mariadb"):
        pytest.skip("only MariaDB and MySQL have it; KARBOR_TEST_DATABASE=mariadb runs it")


def test_text_columns_compare_byte_by_byte(database: sa.Engine) -> None:
    on_mariadb(database)
    query = "SELECT DISTINCT collation_name FROM information_schema.columns WHERE table_schema = database()"
    with database.connect() as connection:
        found = connection.exec_driver_sql(f"{query} AND table_name <> 'alembic_version'").scalars().all()
    assert set(found) == {None, "utf8mb4_bin"}


@server_only
def test_what_the_server_takes_back_is_done_again(database: sa.Engine) -> None:
    ids = [add(database) for _ in range(2)]
    together, tries = threading.Barrier(2), []

    def work(number: int) -> str:
        first_time = number not in tries
        tries.append(number)
        with database.begin() as connection:
            for id in ids if number else reversed(ids):
                connection.execute(sa.update(schema.operations).where(schema.operations.c.id == id).values(cancel=True))
                if first_time:
                    together.wait(60)  # now both have one row, and want the other one
                    first_time = False
        return "done"

    assert at_once(2, lambda number: again(lambda: work(number))) == ["done"] * 2
    assert len(tries) == 3


@server_only
def test_other_errors_of_the_server_are_no_reason_to_try_again(database: sa.Engine) -> None:
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        with database.connect() as connection:
            connection.exec_driver_sql("SELECT nothing FROM nowhere")

    with pytest.raises(sa.exc.DBAPIError, match="nowhere"):
        again(work)
    assert len(tries) == 1


def test_both_names_of_the_dialect_work(database: sa.Engine) -> None:
    on_mariadb(database)
    url = database.url.set(drivername="mariadb+pymysql").render_as_string(hide_password=False)
    other = open_database(url)
    assert services.beat(other, "here", services.PROTECTION)["host"] == "here"
    with other.begin() as connection:
        checkpoints.put(connection, {**CHECKPOINT, "id": "one"})
        checkpoints.put(connection, {**CHECKPOINT, "id": "one", "status": "error"})
    assert [row["status"] for row in checkpoints.rows(database)] == ["error"]
