"""A database whose disk is full: every request that writes is told so, probes know why, and service returns by itself."""

import os
import resource
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from anyio.from_thread import BlockingPortal

from tests.programs import Programs
from tests.site import Site, new_user_id
from tests.web.test_outages import _assert_unwritable, eventually


class Disk(ABC):
    """Where the database of a test is, and what makes it full."""

    cause: str

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @abstractmethod
    def fill(self, site: Site) -> None:
        """Leaves no room for another page."""

    @abstractmethod
    def free(self, site: Site) -> None:
        """Leaves room again."""


class SmallDisk(Disk):
    """A file system of its own. Only root can mount it."""

    cause = "disk-full"

    def fill(self, site: Site) -> None:
        filler = os.open(self.directory / "filler", os.O_WRONLY | os.O_CREAT)
        try:
            while os.write(filler, bytes(4096)):
                pass
        except OSError:
            pass
        finally:
            os.close(filler)

    def free(self, site: Site) -> None:
        (self.directory / "filler").unlink()


class LimitedFiles(Disk):
    """No file of the server may grow. SQLite calls this an error of the disk."""

    cause = "io-error"

    def fill(self, site: Site) -> None:
        with site.client() as client:
            while (size := self._log.stat().st_size) < 100_000:
                assert client.get("/", params={"externalAuthCode": site.code_for(new_user_id())}).status_code == 303
        self._limit(site, size)

    def free(self, site: Site) -> None:
        self._limit(site, resource.RLIM_INFINITY)

    @property
    def _log(self) -> Path:
        return self.directory / "doorcode.sqlite3-wal"

    @staticmethod
    def _limit(site: Site, size: int) -> None:
        resource.prlimit(site.server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A small file system where this process may mount one, as in CI, else a limit on the size of files."""
    directory = tmp_path / "disk"
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        yield LimitedFiles(directory)
        return
    yield SmallDisk(directory)
    subprocess.run(["umount", str(directory)], check=True)


def check(site: Site, disk: Disk) -> None:
    with site.client() as client:
        assert client.get("/readyz").status_code == 200
        disk.fill(site)
        assert client.get("/", params={"externalAuthCode": site.code_for(new_user_id())}).status_code == 503
        _assert_unwritable(site, disk.cause)
        disk.free(site)
        eventually(lambda: client.get("/readyz").status_code == 200)
        assert client.get("/", params={"externalAuthCode": site.code_for(new_user_id())}).status_code == 303
    assert "internal_error" not in site.server.stderr_text()


def test_full_disk_below_sqlite_is_told_and_room_is_noticed(
    disk: Disk, background: BlockingPortal, tmp_path: Path, programs: Programs
) -> None:
    site = Site.open(tmp_path / "served", f"sqlite://{disk.directory}/doorcode.sqlite3", background, {})
    try:
        check(site, disk)
    finally:
        site.server.close()


def test_limit_on_files_is_told_like_a_broken_disk(
    background: BlockingPortal, tmp_path: Path, programs: Programs
) -> None:
    site = Site.open(tmp_path / "served", f"sqlite://{tmp_path}/doorcode.sqlite3", background, {})
    try:
        check(site, LimitedFiles(tmp_path))
    finally:
        site.server.close()


class FullServer(Disk):
    """A PostgreSQL server that answers each new row with the error of a full disk (SQLSTATE 53100).

    As on a real one, rows can still be updated: there is room in their pages.
    """

    cause = "disk-full"
    _TABLES = ("users", "sessions", "sent_forms")

    def __init__(self, url: str, portal: BlockingPortal) -> None:
        self._url = url
        self._portal = portal

    def fill(self, site: Site) -> None:
        triggers = [
            f"CREATE TRIGGER no_room BEFORE INSERT ON {table} EXECUTE FUNCTION no_room()" for table in self._TABLES
        ]
        function = (
            "CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
        )
        self._portal.call(self._execute, "; ".join([function, *triggers]))

    def free(self, site: Site) -> None:
        self._portal.call(self._execute, "DROP FUNCTION IF EXISTS no_room CASCADE")

    async def _execute(self, statements: str) -> None:
        connection = await asyncpg.connect(self._url)
        await connection.execute(statements)
        await connection.close()


def test_full_disk_of_postgres_is_told_and_room_is_noticed(
    postgres_url: str, background: BlockingPortal, tmp_path: Path, programs: Programs
) -> None:
    disk = FullServer(postgres_url, background)
    site = Site.open(tmp_path, postgres_url, background, {})
    try:
        check(site, disk)
    finally:
        disk.free(site)
        site.server.close()
