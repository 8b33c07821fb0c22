"""`doorcode serve` and `doorcode migrate`."""

import asyncio
import os
import signal
import socket
import sys
import time
from typing import Annotated

import structlog
import typer
import uvicorn

from service import database
from service.accounts.admins import has_admin
from service.cli.running import (
    fail,
    finish,
    is_public_url_given,
    program,
    read_settings,
    remember_address,
    stderr,
)
from service.database import is_unreachable
from service.email_login.links import make_setup_token
from service.email_login.transports import describe_transport
from service.external_auth.models import ExternalAuth
from service.http_server import PARSER_BUFFER, OnlyServer, Workers, http_protocol, notify, raise_file_limit
from service.instance import open_instance
from service.logs import configure_logs
from service.metrics import shared_metrics
from service.page_urls import PageUrls
from service.quick_imports import quick_imports
from service.setting_sources import PREFIX
from service.settings import DEFAULT_HOST, DEFAULT_PORT, Settings, unknown_settings, warnings_about

STARTUP_FAILURE = 3  # the exit status of uvicorn
SHUTDOWN_GRACE = 30  # seconds in which open requests may finish after SIGTERM
_RETRY_SECONDS = 1.0  # between two attempts to open the database
_EXTENSION = 60_000_000  # microseconds that systemd shall wait for the next attempt: connecting may take 30 s

_log = structlog.get_logger()


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = DEFAULT_HOST,
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = DEFAULT_PORT,
    workers: Annotated[int, typer.Option(help="Number of processes. More than 1 needs PostgreSQL.", min=1, max=64)] = 1,
    dev: Annotated[bool, typer.Option("--dev", help="Serve GraphiQL at /graphql to browsers.")] = False,
) -> None:
    """Serve. SQLite is migrated at the start."""
    settings = read_settings(host, port)
    if workers > 1 and settings.uses_sqlite:
        raise typer.BadParameter(
            "SQLite supports one worker. For more, set DOORCODE_DATABASE_URL to a PostgreSQL database.",
            param_hint="--workers",
        )
    if workers > 1 and dev:
        raise typer.BadParameter("--dev takes one worker.", param_hint="--workers")
    if dev and not settings.is_on_loopback:
        raise typer.BadParameter(
            f"--dev is for development: its page runs scripts of a public CDN at {settings.public_url}, where admins "
            "sign in. Use it with a public URL on loopback.",
            param_hint="--dev",
        )
    configure_logs(settings)
    _check_port(host, port)
    raise_file_limit()
    _tell_of_risks(settings)
    finish(_prepare_when_available(settings))
    remember_address(settings)
    options = {
        "host": host,
        "port": port,
        "log_config": None,
        "access_log": False,  # it would print query strings, which may contain codes
        "proxy_headers": False,  # the application reads these headers itself, from DOORCODE_TRUSTED_PROXIES only
        "server_header": False,
        "ws": "none",
        "http": http_protocol(),
        "h11_max_incomplete_event_size": PARSER_BUFFER,
        "lifespan": "on",
        "timeout_graceful_shutdown": SHUTDOWN_GRACE,
    }
    if workers == 1:
        with quick_imports():
            from service.app import create_app  # noqa: PLC0415  # other commands start quicker without it

        _serve_in_this_process(uvicorn.Config(create_app(settings, dev=dev), **options))  # type: ignore[arg-type]
    else:
        app = "service.app:create_app_from_environment"
        _serve_in_processes(settings, uvicorn.Config(app, factory=True, workers=workers, **options))  # type: ignore[arg-type]


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. `::` takes IPv4 connections too, whatever the system's default is."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    dual_stack = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=family, dualstack_ipv6=dual_stack)


def _check_port(host: str, port: int) -> None:
    """Exit if the port is in use. Runs first: a second start would replace the set-up link of the first."""
    try:
        _listen(host, port).close()
    except OSError as error:
        fail(
            f"{host}:{port} cannot be used: {error.strerror or error}. "
            "If another server uses it, choose another --port."
        )


def migrate() -> None:
    """Migrate the database to this version."""
    settings = read_settings()
    configure_logs(settings)
    finish(database.migrate(settings))
    stderr.print("The database is up to date.")


def _tell_of_risks(settings: Settings) -> None:
    for name in unknown_settings():
        stderr.print(f"{name} is not a setting and is ignored. Check its spelling.", style="yellow")
    for warning in warnings_about(settings):
        stderr.print(warning, style="yellow")


async def _prepare_when_available(settings: Settings) -> None:
    """Prepare as soon as the database is available. Raises the last error after `DOORCODE_DATABASE_WAIT` seconds."""
    deadline, told = time.monotonic() + settings.database_wait, False
    while True:
        try:
            return await _prepare(settings)
        except Exception as error:
            if not is_unreachable(error) or time.monotonic() >= deadline:
                raise
            if not told:
                stderr.print(f"{error}. Waiting for it, at most {settings.database_wait} seconds.", style="yellow")
                told = True
        notify("STATUS=Waiting for the database", f"EXTEND_TIMEOUT_USEC={_EXTENSION}")
        await asyncio.sleep(_RETRY_SECONDS)


async def _prepare(settings: Settings) -> None:
    """Check everything before the port is opened, then print what to do next."""
    async with open_instance(settings):
        auth = await ExternalAuth.get(id=1)
        setup_link = None if await has_admin() else PageUrls(settings.public_url).setup(await make_setup_token())
    stderr.print(f"Doorcode is at {settings.public_url}", style="bold")
    if about_mail := describe_transport(settings):
        stderr.print(about_mail, style="yellow")
    if setup_link:
        stderr.print(
            f"There is no admin yet. Open this link within an hour to become the first admin:\n\n    {setup_link}\n",
        )
    if not auth.enabled:
        stderr.print(
            "Next: let your backend sign in users. This command prints the secret for signing codes:\n\n"
            f"    {program()} jwt enable\n",
        )


def _serve_in_this_process(config: uvicorn.Config) -> None:
    """Serve as `uvicorn.run` does, but on a socket of our own for `::`, where asyncio would take IPv6 alone."""
    if not sys.stderr.isatty():  # the end of a terminal ends the server; a service manager's reload must not
        signal.signal(
            signal.SIGHUP, lambda *_: _log.warning("reload_ignored", advice="restart a server of one process")
        )
    try:
        OnlyServer(config).run([_listen(config.host, config.port)] if config.host == "::" else None)
    except KeyboardInterrupt:
        return
    raise typer.Exit(STARTUP_FAILURE)  # a server that was asked to end is ended by that signal


def _serve_in_processes(settings: Settings, config: uvicorn.Config) -> None:
    """Serve in several processes. They read what they need to know of this process from the environment."""
    if not is_public_url_given():
        os.environ[f"{PREFIX}PUBLIC_URL"] = settings.public_url
    with shared_metrics():
        workers = Workers(config, [config.bind_socket()])
        workers.run()
    if workers.has_failed:
        raise typer.Exit(STARTUP_FAILURE)
