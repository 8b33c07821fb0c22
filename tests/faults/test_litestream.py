"""litestream beside the running server: with the sample of the guide, what was acknowledged can be restored."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal

from tests.faults.requests import Clients, at_once
from tests.libraries.node import SAMPLES
from tests.processes import Server, run_command
from tests.programs import Programs
from tests.site import Site, new_user_id

PROGRAM = Path(sys.executable).with_name("litestream")

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="litestream is for Linux only")


@contextmanager
def replicating(directory: Path, database: Path, replica: Path) -> Iterator[None]:
    """Run litestream until the end of the block. It then copies what it has not copied yet, as after `systemctl stop`."""
    sample = (SAMPLES / "litestream.yml").read_text()
    assert "/var/lib/doorcode/doorcode.sqlite3" in sample
    configuration = directory / "litestream.yml"
    configuration.write_text(
        sample.replace("/var/lib/doorcode/doorcode.sqlite3", str(database)).replace("/backup/doorcode", str(replica))
    )
    with (directory / "litestream.log").open("w") as log:
        process = subprocess.Popen([PROGRAM, "replicate", "-config", configuration], stdout=log, stderr=log)
    try:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, (directory / "litestream.log").read_text()
    finally:
        process.kill()
        process.wait()


def test_database_is_restored_from_the_replica_after_the_disk_is_lost(
    background: BlockingPortal, tmp_path: Path, programs: Programs
) -> None:
    served, replica = tmp_path / "served", tmp_path / "replica"
    database = served / "doorcode.sqlite3"
    site = Site.open(served, f"sqlite://{database}", background, {})
    clients, known = Clients(site), [new_user_id() for _ in range(20)]
    tokens: list[str] = []

    def sign_in(rounds: int) -> None:
        for _ in range(rounds):
            for answer in at_once([lambda user_id=user_id: clients.exchange(user_id) for user_id in known]):  # type: ignore[misc]
                assert answer.status_code == 200, answer.text
                tokens.append(answer.json()["data"]["exchangeExternalAuthCode"]["token"])

    sign_in(2)
    with replicating(tmp_path, database, replica):
        sign_in(60)  # more than what begins a checkpoint
        os.killpg(site.server.process.pid, signal.SIGKILL)
        site.server.process.wait()

    restored = tmp_path / "restored"
    restored.mkdir()
    ran = subprocess.run(
        [PROGRAM, "restore", "-config", tmp_path / "litestream.yml", "-o", restored / "doorcode.sqlite3", database],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    (restored / "encryption.key").write_bytes((served / "encryption.key").read_bytes())
    environ = {"DOORCODE_DATA_DIR": str(restored)}
    checked = run_command(environ, tmp_path, "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    server = Server(tmp_path / "again", environ)
    try:
        server.wait_until_ready()
        again = Clients(site, server.url)
        assert all(again.viewer(token).json()["data"]["viewer"] for token in tokens)
        assert again.exchange(known[0]).status_code == 200
    finally:
        server.close()
