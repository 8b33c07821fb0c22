"""A primary that is killed under load, and its synchronous standby, which takes over: nothing acknowledged is lost."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal

from tests.databases import migrated
from tests.faults.postgres import OwnPostgres
from tests.faults.requests import ANSWER_TIMEOUT, Clients
from tests.programs import Programs
from tests.site import Site, new_user_id

ENOUGH = 60  # acknowledged sign-ins, before the fault and after it
DEADLINE = 90.0  # seconds; a busy machine is no failure


@pytest.fixture
def pair(background: BlockingPortal, tmp_path: Path, programs: Programs) -> Iterator[tuple[OwnPostgres, OwnPostgres]]:
    """A primary with a migrated database, and its standby."""
    primary = OwnPostgres.start()
    background.call(migrated, primary.url, tmp_path)
    standby = primary.start_standby()
    yield primary, standby
    primary.close()
    standby.close()


class Load:
    """Sign-ins of known and new users, one after the other in several threads, until `end`."""

    def __init__(self, clients: Clients) -> None:
        self.tokens: list[str] = []
        self.statuses: list[int] = []
        self._clients = clients
        self._known = [new_user_id() for _ in range(10)]
        self._ended = threading.Event()
        self._threads = ThreadPoolExecutor(6)
        self._running = [self._threads.submit(self._sign_in) for _ in range(6)]

    def _sign_in(self) -> None:
        number = 0
        while not self._ended.is_set():
            number += 1
            answer = self._clients.exchange(self._known[number % 10] if number % 2 else None)
            self.statuses.append(answer.status_code)
            if answer.status_code == 200:
                self.tokens.append(answer.json()["data"]["exchangeExternalAuthCode"]["token"])

    def wait_for_more(self) -> None:
        """Wait until `ENOUGH` more sign-ins are acknowledged."""
        deadline, before = time.monotonic() + DEADLINE, len(self.tokens)
        while len(self.tokens) < before + ENOUGH:
            assert time.monotonic() < deadline, self.statuses[-20:]
            time.sleep(0.01)

    def end(self) -> None:
        """End it. Fail if a request had no answer."""
        self._ended.set()
        for thread in self._running:
            thread.result()
        self._threads.shutdown()


def test_standby_takes_over_without_a_restart_and_without_a_lost_sign_in(
    pair: tuple[OwnPostgres, OwnPostgres], background: BlockingPortal, tmp_path: Path
) -> None:
    primary, standby = pair
    hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
    url = f"postgres://doorcode:secret@{hosts}/postgres?target_session_attrs=read-write"
    site = Site.open(tmp_path, url, background, ANSWER_TIMEOUT)
    load = Load(clients := Clients(site))
    try:
        load.wait_for_more()
        primary.kill()
        standby.promote()
        load.wait_for_more()
        load.end()
        assert set(load.statuses) <= {200, 503}
        lost = [token for token in load.tokens if clients.viewer(token).json()["data"]["viewer"] is None]
        assert lost == []
        assert clients.get("/readyz").status_code == 200
    finally:
        load.end()
        site.server.kill()
