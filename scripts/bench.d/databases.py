"""The databases of the services: one for each, filled once and copied for every start."""

import shutil
from pathlib import Path
from typing import Protocol, Self

import asyncpg
from processes import OTHER_CORES, cpu_seconds_of, on_cores

from tests.databases import PostgresServer, create_postgres

# The tests' server loses its data in a crash. This one keeps committed data, as PostgreSQL does by default.
# Checkpoints are few, so that none falls into one measurement and not into the other.
_DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_wal_size": "'4GB'",
    "checkpoint_timeout": "'30min'",
    "jit": "off",
}


class Databases(Protocol):
    """Databases of one kind, by name."""

    async def empty(self, name: str) -> str:
        """A new database, by the name that services open it by."""

    async def copy(self, name: str) -> str:
        """A new copy of the database, without connections, in place of the previous copy."""

    def cpu_seconds(self) -> float:
        """What the server of the databases has used so far. 0 if the services themselves are the database."""


class SqliteDatabases:
    """Files in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def empty(self, name: str) -> str:
        return str(self._directory / f"{name}.sqlite3")

    async def copy(self, name: str) -> str:
        copy = self._directory / f"{name}-copy.sqlite3"
        for leftover in self._directory.glob(f"{copy.name}*"):
            leftover.unlink()
        shutil.copyfile(self._directory / f"{name}.sqlite3", copy)
        return str(copy)

    def cpu_seconds(self) -> float:
        return 0.0


class PostgresDatabases:
    """Databases of a PostgreSQL server that runs as long as this process."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    @classmethod
    async def start(cls) -> Self:
        """A server of its own, on the load client's cores."""
        databases = cls(PostgresServer.in_new_directory())
        with on_cores(OTHER_CORES):
            await databases._make_durable()
        return databases

    async def empty(self, name: str) -> str:
        url = self._server.url(name)
        await create_postgres(url)
        return url

    async def copy(self, name: str) -> str:
        await self._execute(f"DROP DATABASE IF EXISTS {name}_copy WITH (FORCE)")
        await self._execute(f"CREATE DATABASE {name}_copy TEMPLATE {name}")
        await self._execute("CHECKPOINT")
        return self._server.url(f"{name}_copy")

    def cpu_seconds(self) -> float:
        postmaster = int((self._server.directory / "data" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return sum(cpu_seconds_of(int(process)) for process in [postmaster, *children])

    async def _make_durable(self) -> None:
        """Set PostgreSQL up as for production. These settings need no restart."""
        for setting, value in _DURABLE.items():
            await self._execute(f"ALTER SYSTEM SET {setting} = {value}")
        await self._execute("SELECT pg_reload_conf()")

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._server.url("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
