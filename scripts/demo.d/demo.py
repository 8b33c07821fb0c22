"""Runs Doorcode and a sample shop, on two origins of this machine, until Ctrl-C. No data is kept.

The names end in `.localhost`, which browsers resolve to this machine. They are two hosts of one domain, as they would
be in real life: the widget needs no more than two origins, and link login across hosts needs a domain in common.
"""

import argparse
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from shop import Shop

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = "demo.localhost"
BRANDING = (
    "name=Corner Shop",
    "accentColor=#0a6b4b",
    "accentColorDark=#5fd3a8",
    "supportEmail=help@example.com",
    f"logo={Path(__file__).with_name('logo.svg')}",
)
START_DEADLINE = 60.0  # seconds
STOP_DEADLINE = 40.0  # Doorcode gives requests in flight 30 of them


def main() -> None:
    """Start both, say where they are, and wait."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--port", type=int, default=8400, help="Doorcode's; the shop takes the next (default: 8400)")
    port = arguments.parse_args().port
    for wanted in (port, port + 1):
        _check_free(wanted, port)
    doorcode, shop = f"http://auth.{DOMAIN}:{port}", f"http://shop.{DOMAIN}:{port + 1}"
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job starts with SIGINT ignored
        signal.signal(number, _stop)
    try:
        with tempfile.TemporaryDirectory(prefix="doorcode-demo-") as directory:
            environ = _environ(Path(directory), doorcode, shop)
            secret = _run(environ, "jwt", "enable")
            _run(environ, "jwt", "sign-in-url", f"{shop}/login")
            _run(environ, "jwt", "sign-out-url", f"{shop}/logout")
            _run(environ, "jwt", "policy", "groupsMember=groups")  # the codes of the shop carry groups
            _run(environ, "branding", *BRANDING)
            api_key = _run(environ, "api-key", "create", "the shop", "--scope", "admin")
            with _serving(environ, port) as process, Shop(port + 1, doorcode, secret, api_key, environ):
                print(_where(doorcode, shop), flush=True)
                process.wait()
    except KeyboardInterrupt:
        print("\nStopped. Nothing was kept.", flush=True)


def _check_free(wanted: int, port: int) -> None:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", wanted))
        except (OSError, OverflowError):
            sys.exit(f"Port {wanted} is not to be had. Try others: scripts/demo --port {port + 10}")


def _where(doorcode: str, shop: str) -> str:
    return f"""
    The sample shop:  {shop}
    Doorcode:         {doorcode}

Open the shop in Chrome, Edge or Firefox. (Other browsers may have to be told in /etc/hosts that these names are 127.0.0.1.)
The page of the shop has a link into the admin panel. Ctrl-C stops everything.
"""


def _environ(directory: Path, doorcode: str, shop: str) -> dict[str, str]:
    """Removes settings that the developer has set for another Doorcode."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DOORCODE_")}
    return {
        **inherited,
        "PYTHONPATH": str(ROOT),
        "DOORCODE_DATA_DIR": str(directory),
        "DOORCODE_PUBLIC_URL": doorcode,
        "DOORCODE_APP_URL": f"{shop}/",
        "DOORCODE_ALLOWED_ORIGINS": shop,
        "DOORCODE_COOKIE_DOMAIN": DOMAIN,
    }


def _run(environ: Mapping[str, str], *arguments: str) -> str:
    """Run a command of `doorcode`; what it prints. `jwt enable` prints the secret that the shop signs with.

    The command runs in the data directory, where no `.env` file is found.
    """
    command = [sys.executable, "-m", "service", *arguments]
    done = subprocess.run(
        command, env=environ, cwd=environ["DOORCODE_DATA_DIR"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(done.stderr)
    return done.stdout.strip()


@contextmanager
def _serving(environ: Mapping[str, str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=environ, cwd=environ["DOORCODE_DATA_DIR"])
    try:
        _wait_until_ready(process, port)
        yield process
    finally:
        process.terminate()
        process.wait(STOP_DEADLINE)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    sys.exit("Doorcode did not start. Its output is above.")


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
