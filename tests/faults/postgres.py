"""A PostgreSQL server of a test's own, which the test may stop, kill, freeze, or replace by a standby."""

import os
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.databases import postgres_program, unprivileged_account
from tests.processes import free_port

_CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = {connections}
hot_standby = on
wal_level = replica
max_wal_senders = 4
"""


@dataclass(frozen=True)
class OwnPostgres:
    """A server in a directory of its own, which keeps what it has acknowledged through a crash."""

    directory: Path
    port: int

    @classmethod
    def start(cls, *, connections: int = 100) -> Self:
        """Start a server with one empty database."""
        server = cls._in_new_directory()
        postgres_program(
            "initdb", server.directory, "--username=doorcode", "--auth=trust", "--encoding=UTF8", "--no-locale"
        )
        server.configure(_CONFIGURATION.format(connections=connections))
        server.resume_after_stop()
        return server

    @classmethod
    def _in_new_directory(cls) -> Self:
        directory = Path(tempfile.mkdtemp(prefix="doorcode-own-postgres-"))
        if account := unprivileged_account():
            os.chown(directory, account.pw_uid, account.pw_gid)
        return cls(directory, free_port())

    @property
    def url(self) -> str:
        """The URL of the database."""
        return f"postgres://doorcode:secret@127.0.0.1:{self.port}/postgres"

    def start_standby(self) -> "OwnPostgres":
        """Return a new server that follows this one by streaming replication. Commits wait for it from now on."""
        standby = OwnPostgres._in_new_directory()
        source = f"host=127.0.0.1 port={self.port} user=doorcode application_name=standby"
        postgres_program("pg_basebackup", standby.directory, f"--dbname={source}", "--write-recovery-conf", "--no-sync")
        standby.configure("")
        standby.resume_after_stop()
        self.configure("synchronous_standby_names = 'standby'\n")
        postgres_program("pg_ctl", self.directory, "reload", "--silent")
        return standby

    def configure(self, lines: str) -> None:
        """Add settings. They hold from the next start or reload on."""
        with (self.directory / "data" / "postgresql.conf").open("a") as configuration:
            configuration.write(f"{lines}port = {self.port}\n")

    def resume_after_stop(self) -> None:
        """Start the server again, and wait until it takes connections."""
        log = self.directory / "log"
        postgres_program("pg_ctl", self.directory, "start", "--silent", "--wait", f"--log={log}")

    def stop(self) -> None:
        """Stop it as an operator does who waits for nobody: it ends every connection."""
        postgres_program("pg_ctl", self.directory, "stop", "--silent", "--wait", "--mode=fast")

    def promote(self) -> None:
        """Make the standby the primary, and wait until it can be written."""
        postgres_program("pg_ctl", self.directory, "promote", "--silent", "--wait")

    def kill(self) -> None:
        """Kill every process of it at once, as a power cut would, and wait until they are gone."""
        killed = self._send(signal.SIGKILL)
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{process}").exists() for process in killed):  # until they are reaped
            assert time.monotonic() < deadline, "a killed process is still there"
            time.sleep(0.05)

    def freeze(self) -> None:
        """Let no process of it run. Its connections stay open."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let its processes run again."""
        self._send(signal.SIGCONT)

    def close(self) -> None:
        """End it, whatever the test has done to it, and remove its directory."""
        self.thaw()
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _send(self, what: signal.Signals) -> list[int]:
        """Send a signal to each process, and return these."""
        processes = self._processes()
        for process in processes:
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(process, what)
        return processes

    def _processes(self) -> list[int]:
        """Return the server's process and its children."""
        try:
            main = (self.directory / "data" / "postmaster.pid").read_text().split()[0]
        except (FileNotFoundError, IndexError):
            return []
        if not Path(f"/proc/{main}").exists():
            return []
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        return [int(process) for process in (main, *children)]
