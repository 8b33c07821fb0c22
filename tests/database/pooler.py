"""A real pgbouncer between the service and PostgreSQL: a pooler, and a server that speaks TLS."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from tests.certificates import Certificate
from tests.processes import free_port
from tests.programs import Programs

START_DEADLINE = 30.0  # seconds
_CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={target} {options}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir = {directory}
auth_type = trust
auth_file = {directory}/users
pool_mode = {mode}
default_pool_size = 4
logfile = {directory}/log
{tls}
"""
_TLS = """
client_tls_sslmode = {sslmode}
client_tls_cert_file = {directory}/certificate.pem
client_tls_key_file = {directory}/key.pem
client_tls_ca_file = {directory}/certificate.pem
"""


@dataclass(frozen=True)
class Pooler:
    """A running pgbouncer."""

    process: subprocess.Popen[bytes]
    directory: Path
    target: str
    port: int

    @classmethod
    def start(
        cls, programs: Programs, target: str, *, mode: str = "transaction", tls: str = "", options: str = ""
    ) -> Self:
        """Starts it in front of the server of this URL.

        `tls` is what it asks of clients: `require`, `verify-full`. `options` belong to its connections to the server.
        """
        directory, port = Path(tempfile.mkdtemp(prefix="doorcode-pooler-")), free_port()
        Certificate.make(directory)
        (directory / "users").write_text('"doorcode" "secret"\n')
        (directory / "configuration").write_text(
            _CONFIGURATION.format(
                target=urlsplit(target).port,
                port=port,
                directory=directory,
                mode=mode,
                options=options,
                tls=_TLS.format(directory=directory, sslmode=tls) if tls else "",
            )
        )
        with (directory / "errors").open("wb") as errors:
            process = subprocess.Popen(
                [programs.path("pgbouncer"), "--quiet", *_as_another_user(directory), str(directory / "configuration")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        pooler = cls(process, directory, target, port)
        pooler._wait()
        return pooler

    def _wait(self) -> None:
        deadline = time.monotonic() + START_DEADLINE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                assert self.process.poll() is None, (self.directory / "errors").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            else:
                return

    def url(self, query: str = "") -> str:
        """The URL of the same database by way of the pooler."""
        address = urlsplit(self.target)
        netloc = f"{address.netloc.rpartition(':')[0]}:{self.port}"
        return urlunsplit(address._replace(netloc=netloc, query=query))

    def log(self) -> str:
        """What it has logged."""
        return (self.directory / "log").read_text()

    def stop(self) -> None:
        """Ends it, and removes its directory."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory)


def _as_another_user(directory: Path) -> list[str]:
    """It refuses to run as root."""
    if os.geteuid() != 0:
        return []
    accounts = {account.pw_name: account for account in pwd.getpwall()}
    account = accounts.get("postgres") or accounts["nobody"]
    for path in (directory, *directory.iterdir()):
        os.chown(path, account.pw_uid, account.pw_gid)
    return [f"--user={account.pw_name}"]
