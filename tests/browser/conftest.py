"""A customer's website and a Doorcode, for the tests of the widget."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal

from tests.browser.frontend import Frontend
from tests.serving import served
from tests.web.site import Site


@pytest.fixture(scope="module")
def shop() -> Iterator[Frontend]:
    """A customer's website, of another site than Doorcode."""
    with Frontend() as frontend:
        yield frontend


@pytest.fixture(scope="module")
def site(shop: Frontend, background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A Doorcode on loopback that lets the shop's pages call it."""
    with served(tmp_path_factory.mktemp("site"), background, DOORCODE_ALLOWED_ORIGINS=shop.origin) as site:
        yield site
