"""A Doorcode that is served for as long as a test needs it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anyio.from_thread import BlockingPortal

from tests.web.site import Site


@contextmanager
def served(directory: Path, background: BlockingPortal, **environ: str) -> Iterator[Site]:
    """A Doorcode on SQLite until the end of the block."""
    site = Site.open(directory, f"sqlite://{directory}/site.sqlite3", background, environ)
    try:
        yield site
    finally:
        site.server.close()
