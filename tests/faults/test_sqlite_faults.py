"""A SQLite file that another process locks, reads for long, or deletes: a real server, under real requests."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from anyio.from_thread import BlockingPortal

from service.database.checkpoints import LONGEST_LOG
from tests.faults.requests import ANSWER_TIMEOUT, Clients, assert_unavailable, at_once, eventually
from tests.programs import Programs
from tests.site import Site, new_user_id

PAGE = 4096  # bytes


@pytest.fixture
def clients(sqlite_url: str, background: BlockingPortal, tmp_path: Path, programs: Programs) -> Iterator[Clients]:
    site = Site.open(tmp_path / "served", sqlite_url, background, ANSWER_TIMEOUT)
    yield Clients(site)
    site.server.kill()


def test_held_lock_delays_no_read_and_every_write_is_503_in_time(clients: Clients) -> None:
    known = new_user_id()
    token = clients.token(known)
    with closing(sqlite3.connect(clients.site.settings.sqlite_path, isolation_level=None)) as other:
        for table in ("sessions", "users"):  # so that each request of theirs has something to mark
            other.execute(f"UPDATE {table} SET last_seen_at = '2020-01-01 00:00:00+00:00'")
        other.execute("BEGIN IMMEDIATE")
        reading: list[Callable[[], httpx2.Response]] = [
            lambda: clients.viewer(token),
            lambda: clients.get("/verify", Cookie=f"doorcode={token}"),
            lambda: clients.get("/.well-known/jwks.json"),
        ]
        for answer in at_once(reading * 5):
            assert answer.status_code in (200, 401), (answer.url, answer.text)
        writing: list[Callable[[], httpx2.Response]] = [clients.exchange, lambda: clients.exchange(known), clients.link]
        for answer in at_once(writing * 8):
            assert_unavailable(answer)
        assert clients.get("/readyz").status_code == 503
        assert clients.site.server.stderr_text().count("database_unreachable") <= 6
        other.execute("ROLLBACK")
    eventually(lambda: clients.exchange().status_code == 200)
    for answer in at_once([clients.exchange, lambda: clients.exchange(known)] * 10):
        assert answer.status_code == 200, answer.text


def test_deleted_file_is_told_although_the_server_has_it_open(clients: Clients) -> None:
    token = clients.token()
    clients.site.settings.sqlite_path.unlink()
    eventually(lambda: clients.get("/readyz").text == "file-gone\n")
    for answer in at_once([clients.exchange, lambda: clients.viewer(token), clients.link] * 5):
        assert_unavailable(answer)
    log = clients.site.server.stderr_text()
    assert '"cause": "file-gone"' in log
    assert log.count("database_unreachable") <= 4


def test_file_that_is_replaced_is_not_written(clients: Clients, sqlite_url: str, tmp_path: Path) -> None:
    """As by a copy of a backup over the file of a server that still runs."""
    clients.token()
    with closing(sqlite3.connect(tmp_path / "other.sqlite3")) as other:
        other.execute("CREATE TABLE other (id)")
    (tmp_path / "other.sqlite3").rename(clients.site.settings.sqlite_path)
    eventually(lambda: clients.get("/readyz").text == "file-gone\n")
    assert_unavailable(clients.exchange())


def test_log_stays_bounded_and_is_used_again_after_a_long_reader(clients: Clients) -> None:
    """A reader that keeps its transaction open holds the log back. When it has ended, the log is copied and reused."""
    path = clients.site.settings.sqlite_path
    log = path.with_name(f"{path.name}-wal")
    known = [new_user_id() for _ in range(20)]

    def sign_in(rounds: int) -> None:
        for _ in range(rounds):
            for answer in at_once([lambda user_id=user_id: clients.exchange(user_id) for user_id in known]):  # type: ignore[misc]
                assert answer.status_code == 200, answer.text

    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sessions").fetchone()
        sign_in(40)
        held = log.stat().st_size
        reader.execute("COMMIT")
    sign_in(60)
    assert log.stat().st_size <= max(held, LONGEST_LOG * PAGE)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        _, pages, copied = other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    assert pages == copied, "no page is held back"
