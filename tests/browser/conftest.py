"""A customer's website and a Doorcode, for the tests of the widget; an application, for those of the pages."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal

from tests.browser.frontend import Frontend
from tests.programs import Programs
from tests.site import Site, served


@pytest.fixture(scope="module")
def shop() -> Iterator[Frontend]:
    """A customer's website, of another site than Doorcode."""
    with Frontend() as frontend:
        yield frontend


@pytest.fixture(scope="module")
def site(
    shop: Frontend, background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory, programs: Programs
) -> Iterator[Site]:
    """A Doorcode on loopback that lets the shop's pages call it."""
    with served(tmp_path_factory.mktemp("site"), background, DOORCODE_ALLOWED_ORIGINS=shop.origin) as site:
        yield site


@pytest.fixture(scope="module")
def application() -> Iterator[Frontend]:
    """An application, or the page of a company with links: another site than Doorcode's."""
    with Frontend("shop.localhost") as application:
        application.show("<h1>Application</h1>", "/start")
        application.show("<h1>Room 7</h1>", "/rooms/7")
        yield application
