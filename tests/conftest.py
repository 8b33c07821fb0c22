"""Fixtures that every test may use: databases, settings for them, a served instance, a browser."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2
import hypothesis
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from playwright.sync_api import Playwright
from tortoise.backends.base.executor import EXECUTOR_CACHE

from service.app import create_app
from service.instance import Instance, open_instance
from service.settings import Settings, load_settings
from tests.actions import ADDRESS
from tests.clients import Api
from tests.databases import PostgresDatabase, PostgresServer, create_postgres, drop_postgres, migrated
from tests.processes import Server
from tests.programs import Programs
from tests.wire import Wire

pytest_plugins = ["tests.plugin"]

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")

_postgres_server = pytest.StashKey[PostgresServer]()


def pytest_configure(config: pytest.Config) -> None:
    """One PostgreSQL server for the whole run: made here, and shared with the xdist workers."""
    if not hasattr(config, "workerinput"):
        config.stash[_postgres_server] = PostgresServer.in_new_directory()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tells an xdist worker where the server is."""
    node.workerinput["postgres"] = str(node.config.stash[_postgres_server].directory)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Lets asynchronous tests run in the process of browser tests.

    Between its calls Playwright's synchronous API leaves its event loop marked as running, and no other may start then.
    """
    if "playwright" in getattr(item, "fixturenames", ()):
        return (yield)
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        return (yield)
    finally:
        asyncio._set_running_loop(loop)


@pytest.fixture(scope="session")
def background() -> Iterator[BlockingPortal]:
    """An event loop in a thread of its own: `background.call(function, *arguments)` awaits, in whatever kind of test."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="session")
def _sqlite_template(background: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "doorcode.sqlite3"
    background.call(migrated, f"sqlite://{path}", path.parent)
    return path


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh, migrated SQLite database."""
    return f"sqlite://{shutil.copy(_sqlite_template, tmp_path / 'doorcode.sqlite3')}"


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """A SQLite database that does not exist yet."""
    return f"sqlite://{tmp_path / 'empty.sqlite3'}"


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> PostgresServer:
    """The PostgreSQL server of this run."""
    if worker_input := getattr(request.config, "workerinput", None):
        return PostgresServer(Path(worker_input["postgres"]))
    return request.config.stash[_postgres_server]


@pytest.fixture(scope="session")
def _postgres_database(
    postgres: PostgresServer, background: BlockingPortal, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PostgresDatabase]:
    database = PostgresDatabase(postgres.url(f"doorcode_{worker_id}"))
    background.call(database.create, tmp_path_factory.mktemp("postgres"))
    yield database
    background.call(database.close)


@pytest.fixture
def postgres_url(_postgres_database: PostgresDatabase, background: BlockingPortal) -> str:
    """A migrated PostgreSQL database with nothing in it but what the migrations put there."""
    background.call(_postgres_database.reset)
    return _postgres_database.url


@pytest.fixture
def empty_postgres_url(postgres: PostgresServer, background: BlockingPortal, worker_id: str) -> Iterator[str]:
    """A PostgreSQL database without any table."""
    url = postgres.url(f"empty_{worker_id}")
    background.call(create_postgres, url)
    yield url
    background.call(drop_postgres, url)


@pytest.fixture
def wire(postgres_url: str, background: BlockingPortal) -> Iterator[Wire]:
    """The way to the database of this test."""
    address = urlsplit(postgres_url)
    assert address.hostname
    assert address.port
    wire = Wire(address.hostname, address.port)
    background.call(wire.mend)
    yield wire
    background.call(wire.cut)


@pytest.fixture
def wired_url(wire: Wire, postgres_url: str) -> str:
    """The database of this test by the wire."""
    address = urlsplit(postgres_url)
    return urlunsplit(address._replace(netloc=f"{address.netloc.rpartition(':')[0]}:{wire.port}"))


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh, migrated database of each kind in turn."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """A database of each kind in turn that no migration has touched."""
    return str(request.getfixturevalue(f"empty_{request.param}_url"))


@pytest.fixture
def environ(database_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment that says where `database_url` and this test's own data directory are."""
    return {"DOORCODE_DATABASE_URL": database_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")}


@pytest.fixture
def settings(environ: dict[str, str]) -> Settings:
    """Settings for `database_url`, with a data directory of this test's own."""
    return load_settings(environ)


@pytest.fixture(autouse=True)
def _no_statements_of_another_dialect() -> None:
    """Tortoise keeps the statements it has built by connection and table, whatever database they were built for."""
    EXECUTOR_CACHE.clear()


@pytest.fixture
async def instance(settings: Settings) -> AsyncIterator[Instance]:
    """The service without its routes, open in this process on each kind of database in turn."""
    async with open_instance(settings) as opened:
        yield opened


@pytest.fixture
async def api(instance: Instance) -> AsyncIterator[Api]:
    """A GraphQL client of the whole application around `instance`."""
    app = create_app(instance.settings)
    app.state.instance = instance
    transport = httpx2.ASGITransport(app, client=(ADDRESS, 1234))
    async with httpx2.AsyncClient(transport=transport, base_url=instance.settings.public_url) as http:
        yield Api(http)


@pytest.fixture
def server(tmp_path: Path, programs: Programs) -> Iterator[Callable[..., Server]]:
    """Starts real servers: `server(environ, *arguments)` returns one that is ready, and it has to end well in the end."""
    with ExitStack() as running:

        def start(environ: Mapping[str, str], *arguments: str) -> Server:
            started = Server(tmp_path, environ, arguments)
            running.callback(started.close)
            started.wait_until_ready()
            return started

        yield start


@pytest.fixture(scope="session")
def _chromium(programs: Programs) -> str:
    programs.require("chromium", "libatomic.so.1")
    return programs.path("chromium")


@pytest.fixture(scope="session")
def playwright(_chromium: str, playwright: Playwright) -> Playwright:
    """Playwright's driver, started only if this machine can run the browser tests."""
    return playwright


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any], _chromium: str) -> dict[str, Any]:
    """Browser tests take the system's Chromium; its sandbox does not work for root."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {"executable_path": _chromium, "args": arguments, **browser_type_launch_args}
