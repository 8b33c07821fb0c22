"""Served panels, and signed-in admins."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
from anyio.from_thread import BlockingPortal

from tests.databases import PostgresServer, create_postgres, drop_postgres, migrated
from tests.programs import Programs
from tests.site import Site
from tests.web.admin.panel import Panel


@pytest.fixture(scope="session")
def site(background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[Site]:
    """On SQLite, JWT sign-in enabled."""
    directory = tmp_path_factory.mktemp("site")
    site = Site.open(directory, f"sqlite://{directory}/site.sqlite3", background, {})
    yield site
    site.server.close()


@pytest.fixture(scope="session")
def postgres_site(
    postgres: PostgresServer,
    background: BlockingPortal,
    worker_id: str,
    tmp_path_factory: pytest.TempPathFactory,
    programs: Programs,
) -> Iterator[Site]:
    """The same on PostgreSQL."""
    directory, url = tmp_path_factory.mktemp("site"), postgres.url(f"admin_{worker_id}")
    background.call(create_postgres, url)
    background.call(migrated, url, directory)
    site = Site.open(directory, url, background, {})
    yield site
    site.server.close()
    background.call(drop_postgres, url)


@pytest.fixture
def open_panel(site: Site) -> Iterator[Callable[..., Panel]]:
    """`open_panel()` is another browser of the admin; `open_panel(email)` is another admin."""
    with ExitStack() as browsers:

        def sit(*email: str) -> Panel:
            panel = Panel.signed_in(site, *email)
            browsers.enter_context(closing(panel.http))
            return panel

        yield sit


@pytest.fixture
def panel(open_panel: Callable[..., Panel]) -> Panel:
    """The admin's browser."""
    return open_panel()
