"""The service as a process of its own, listening on a loopback port."""

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
START_DEADLINE = 60.0  # seconds; a busy machine is no failure
STOP_DEADLINE = 30.0


def free_port() -> int:
    """A loopback port that no process listens on.

    Taken from below the range that systems use for outgoing connections, so that no connection gets it meanwhile.
    """
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as attempt:
            try:
                attempt.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


class Server:
    """A running `doorcode serve`."""

    def __init__(
        self, directory: Path, environ: Mapping[str, str], arguments: Sequence[str] = (), *, port: int | None = None
    ) -> None:
        """Starts it in this directory, where it finds no `.env` file but one that the test wrote."""
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        directory.mkdir(parents=True, exist_ok=True)
        self._output, self._errors = directory / f"{self.port}.stdout", directory / f"{self.port}.stderr"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DOORCODE_")}
        with self._output.open("w") as output, self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service", "serve", "--port", str(self.port), *arguments],
                cwd=directory,
                env={**inherited, "PYTHONPATH": str(ROOT), **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Returns once it answers that it is ready. Fails with its output if it ends or takes too long."""
        deadline = time.monotonic() + START_DEADLINE
        while not self._is_ready():
            if self.process.poll() is not None:
                raise AssertionError(f"it ended with status {self.process.returncode}:\n{self.stderr_text()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"it was not ready after {START_DEADLINE} seconds:\n{self.stderr_text()}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stdout_text(self) -> str:
        """What it has printed so far."""
        return self._output.read_text()

    def stderr_text(self) -> str:
        """What it has said and logged so far."""
        return self._errors.read_text()

    def stop(self) -> None:
        """Asks it to end as a service manager does; fails where it does not end in time, or not well."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not end within {STOP_DEADLINE} seconds:\n{self.stderr_text()}") from None
        # uvicorn ends in order, then by the signal that it was asked with.
        assert status in (0, -signal.SIGTERM), f"it ended with status {status}:\n{self.stderr_text()}"

    def kill(self) -> None:
        """Kills it and its workers, as a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def kill_if_running(self) -> None:
        """Kills it, unless the test has ended it already: for a server that need not end well."""
        if self.process.poll() is None:
            self.kill()

    def close(self) -> None:
        """Stops it, unless the test has ended it already."""
        if self.process.returncode is None:
            self.stop()


def run_command(environ: Mapping[str, str], directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command as a process of its own, to its end, in a directory where it finds no `.env` file of the developer's."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DOORCODE_")}
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        cwd=directory,
        env={**inherited, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
