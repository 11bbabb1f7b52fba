"""Databases for tests and benchmarks: SQLite in a folder, or a server that lives as long as a block."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from karbor import clock
from karbor.store.database import open_database, open_state

SERVER = "KARBOR_TEST_DATABASE"
"""Environment variable: the address of a server on which `open_test_state` makes databases instead of files."""
PATIENCE = 60.0
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder with a name of its own is made in it
_DEBIANS = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
"""Where Debian keeps PostgreSQL's programs, the newest first: none of them is on the path."""
_PATH = ":".join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", *_DEBIANS])


@contextmanager
def mariadb(*, durable: bool = True) -> Iterator[str]:
    """A server of our own on a socket in a temporary folder, reached by nobody else; its address, without a database.

    Without `durable` its files lie in memory where there is room. Raises RuntimeError where it does not come up.
    """
    with _folder(durable) as folder:
        socket = folder / "socket"
        common = ["--no-defaults", f"--datadir={folder / 'data'}", f"--user={getpass.getuser()}"]
        # Whoever reaches the socket may do everything: the folder is ours alone.
        serve = ["--skip-networking", f"--socket={socket}", "--skip-grant-tables", "--innodb-buffer-pool-size=64M"]
        address = f"mysql+pymysql://root@localhost/?charset=utf8mb4&unix_socket={socket}"
        install = ["mariadb-install-db", *common, "--skip-test-db"]
        with _serving(folder, install, ["mariadbd", *common, *serve], address):
            yield address


@contextmanager
def postgresql(*, durable: bool = True) -> Iterator[str]:
    """As `mariadb`. Where we are root it runs as nobody, since it refuses to be root's."""
    with _folder(durable) as folder:
        user = "nobody" if os.getuid() == 0 else None
        if user:
            shutil.chown(folder, user)
        data = str(folder / "data")
        install = ["initdb", "-D", data, "-A", "trust", "-U", "karbor", "-E", "UTF8", "--locale=C", "--no-sync"]
        serve = ["postgres", "-D", data, "-k", str(folder), "-c", "listen_addresses=", "-c", "max_connections=300"]
        if not durable:
            serve += ["-c", "fsync=off"]
        address = f"postgresql+psycopg://karbor@/postgres?host={folder}"
        with _serving(folder, install, serve, address, user):
            yield address


class Sort(NamedTuple):
    """A sort of server: what starts one, and the programs that this takes."""

    start: Callable[..., AbstractContextManager[str]]
    programs: tuple[str, ...]

    def missing(self) -> list[str]:
        """What this machine lacks for a server of our own."""
        return [name for name in self.programs if shutil.which(name, path=_PATH) is None]


SORTS: Mapping[str, Sort] = {
    "mariadb": Sort(mariadb, ("mariadb-install-db", "mariadbd")),
    "postgresql": Sort(postgresql, ("initdb", "postgres")),
}
"""By the word that KARBOR_TEST_DATABASE has for them."""


@contextmanager
def _folder(durable: bool) -> Iterator[Path]:
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 1 << 30
    with tempfile.TemporaryDirectory(prefix="karbor-db-", dir=_MEMORY if roomy and not durable else None) as name:
        yield Path(name)


@contextmanager
def _serving(
    folder: Path, install: Sequence[str], serve: Sequence[str], address: str, user: str | None = None
) -> Iterator[None]:
    """Make the files of a server and run it, as `user`, until the block ends."""
    environment, log = {**os.environ, "PATH": _PATH}, folder / "log"
    with log.open("wb") as output:
        subprocess.run(install, check=False, stdout=output, stderr=output, env=environment, user=user, cwd=folder)  # noqa: S603
        process = subprocess.Popen(serve, stdout=output, stderr=output, env=environment, user=user, cwd=folder)  # noqa: S603
    try:
        deadline = clock.monotonic() + PATIENCE
        while not _answers(address):
            if process.poll() is not None or clock.monotonic() > deadline:
                raise RuntimeError(f"{serve[0]} did not come up:\n{log.read_text()[-2000:]}")
            clock.sleep(0.05)
        yield
    finally:
        # PostgreSQL waits for its clients on SIGTERM, and ends at once on SIGINT, which MariaDB does not know.
        process.send_signal(signal.SIGINT if serve[0] == "postgres" else signal.SIGTERM)
        process.wait(PATIENCE)


def _answers(address: str) -> bool:
    try:
        sa.create_engine(address, poolclass=sa.NullPool).connect().close()
    except sa.exc.OperationalError:
        return False
    return True


def make_database(server: str, name: str) -> str:
    """The address of a database on a server, which is made when it is not there."""
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            if name not in connection.exec_driver_sql("SELECT datname FROM pg_database").scalars():
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
        else:
            connection.exec_driver_sql(f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4")
    return engine.url.set(database=name).render_as_string(hide_password=False)


def state_address(folder: Path) -> str:
    """The address of a state folder's database: the embedded one, or the folder's own one on the server of SERVER."""
    if server := os.environ.get(SERVER):
        return make_database(server, f"karbor_{sha256(bytes(folder.resolve())).hexdigest()[:24]}")
    return f"sqlite:///{folder}/karbor.db"


def open_test_state(folder: Path) -> sa.Engine:
    """The database of `state_address`, made and opened."""
    if SERVER not in os.environ:
        return open_state(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return open_database(state_address(folder))
