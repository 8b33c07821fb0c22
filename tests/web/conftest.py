"""Servers that outlive a test, because starting one takes longer than most tests: each test brings people of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx2
import pytest
from anyio.from_thread import BlockingPortal

from tests.databases import PostgresServer, create_postgres, drop_postgres, migrated
from tests.programs import Programs
from tests.site import Site

APP = "https://app.example.test"
PUBLIC = "https://id.example.test"
METRICS_TOKEN = "a-token-for-prometheus"


@pytest.fixture(scope="session")
def open_site(
    background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory, programs: Programs
) -> Iterator[Callable[..., Site]]:
    """Opens sites that are closed with the run: `open_site(database_url, DOORCODE_…=…)`; without a URL on SQLite."""
    with ExitStack() as running:

        def open_one(database_url: str | None = None, **environ: str) -> Site:
            directory = tmp_path_factory.mktemp("site")
            site = Site.open(directory, database_url or f"sqlite://{directory}/site.sqlite3", background, environ)
            running.callback(site.server.close)
            return site

        yield open_one


@pytest.fixture(scope="session")
def sqlite_site(open_site: Callable[..., Site]) -> Site:
    """As it comes: the embedded database, plain http on loopback, no application."""
    return open_site()


@pytest.fixture(scope="session")
def postgres_site(
    open_site: Callable[..., Site],
    postgres: PostgresServer,
    background: BlockingPortal,
    worker_id: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """The same on PostgreSQL."""
    url = postgres.url(f"web_{worker_id}")
    background.call(create_postgres, url)
    background.call(migrated, url, tmp_path_factory.mktemp("migrated"))
    yield open_site(url)
    background.call(drop_postgres, url)


@pytest.fixture(params=["sqlite", "postgres"])
def site(request: pytest.FixtureRequest, programs: Programs) -> Site:
    """Each of the two in turn."""
    chosen: Site = request.getfixturevalue(f"{request.param}_site")
    return chosen


@pytest.fixture(scope="session")
def app_site(open_site: Callable[..., Site]) -> Site:
    """With an application on another origin, behind a proxy that says who asks, and little patience."""
    return open_site(
        DOORCODE_APP_URL=f"{APP}/start",
        DOORCODE_TRUSTED_PROXIES="127.0.0.1/8",
        DOORCODE_FAILED_SIGN_INS="3/minute",
    )


@pytest.fixture(scope="session")
def secure_site(open_site: Callable[..., Site]) -> Site:
    """Reached by https, for a whole domain, with the application at the very same address."""
    return open_site(
        DOORCODE_PUBLIC_URL=PUBLIC,
        DOORCODE_APP_URL=f"{PUBLIC}/",
        DOORCODE_COOKIE_DOMAIN="example.test",
        DOORCODE_ALLOWED_ORIGINS=f"{APP},https://partner.example.net",
        DOORCODE_METRICS_TOKEN=METRICS_TOKEN,
    )


@pytest.fixture
def client(site: Site) -> Iterator[httpx2.Client]:
    """A new browser at `site`."""
    with site.client() as client:
        yield client
