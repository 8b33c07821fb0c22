"""Wires the application together: routes, middleware, and what opens and closes with it."""

import asyncio
import gc
import ipaddress
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from service.audit.stream import audit_stream
from service.database import is_unreachable
from service.email_login.mail_worker import send_mails
from service.error_reports import log_unreachable
from service.graphql.endpoint import graphql_endpoint
from service.housekeeping import purge_in_background, watch_event_loop, write_collected_in_background
from service.instance import Instance, open_instance
from service.logs import configure_logs
from service.settings import Settings, SettingsError, load_settings
from service.tracing import tracing
from service.web import failures, probes
from service.web.assets import serve_asset
from service.web.boundary import Boundary
from service.web.branding import branding_routes
from service.web.cors import CrossOrigin
from service.web.deadline import Deadline
from service.web.forward_auth import ForwardAuth
from service.web.graphql_fast_path import GraphQLFastPath
from service.web.hosts import KnownHosts, PlainClientAddress
from service.web.late_routes import LateRoutes
from service.web.paths import TolerantPaths
from service.web.prefetch import RejectSpeculativePosts
from service.web.requests import instance_of
from service.web.sign_in.routes import sign_in_routes
from service.web.widget import serve_widget, serve_widget_types

_RETRY_SECONDS = 1.0  # between two attempts to open the database


def create_app(settings: Settings, *, dev: bool = False) -> Starlette:
    """Return the whole service as an ASGI application. With `dev`, `/graphql` shows GraphiQL to browsers.

    Its lifespan opens the instance and raises `SettingsError` if a setting is wrong.
    """
    endpoint = graphql_endpoint(instance_of, settings, dev=dev)
    graphql = Route("/graphql", CrossOrigin(Deadline(endpoint, settings), settings))
    app = Starlette(
        routes=[graphql, *_other_routes(), LateRoutes(["/admin"], _admin_routes), *_guide_routes(settings)],
        middleware=[
            Middleware(Boundary, settings=settings),
            Middleware(PlainClientAddress),
            Middleware(KnownHosts, settings=settings),
            *_proxy_headers(settings),
            Middleware(TolerantPaths),
            Middleware(RejectSpeculativePosts),
            Middleware(GraphQLFastPath, route=graphql),
            Middleware(Deadline, settings=settings),
        ],
        exception_handlers={HTTPException: _answer_http_exception(settings)},
        lifespan=_lifespan(settings),
    )
    app.state.operations = endpoint.operations  # the admin panel runs its operations with them
    app.router.redirect_slashes = False
    return app


def create_app_from_environment() -> Starlette:
    """Return the application for a worker process, which has only the environment to read.

    Ends the process if a setting is wrong, as after a reload with a changed `.env`.
    """
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")  # the settings say how to log, too
        raise SystemExit(1) from None
    configure_logs(settings)
    return create_app(settings)


def _other_routes() -> list[Route]:
    return [
        *sign_in_routes(),
        Route("/widget.js", serve_widget),
        Route("/widget.d.ts", serve_widget_types),
        Route("/verify", ForwardAuth()),
        Route("/verify/{path:path}", ForwardAuth()),
        Route("/.well-known/jwks.json", probes.jwks),
        Route("/healthz", probes.healthz),
        Route("/readyz", probes.readyz),
        Route("/metrics", probes.metrics),
        *branding_routes(),
        Route("/static/{name:path}", serve_asset),
    ]


def _admin_routes() -> list[Route]:
    from service.web.admin.routes import admin_routes  # noqa: PLC0415  # see `LateRoutes`

    return admin_routes()


def _guide_routes(settings: Settings) -> list[BaseRoute]:
    """Return the routes of the guide. None if `DOORCODE_GUIDE` is off."""

    def load() -> list[Route]:
        from service.web.guide.routes import guide_routes  # noqa: PLC0415  # see `LateRoutes`

        return guide_routes(settings)

    return [LateRoutes(["/guide", "/llms.txt"], load)] if settings.guide else []


def _proxy_headers(settings: Settings) -> list[Middleware]:
    """Believe `X-Forwarded-For` and `X-Forwarded-Proto` only from the proxies that the operator names."""
    if not settings.trusted_proxies:
        return []
    networks = [ipaddress.ip_network(network, strict=False) for network in settings.trusted_proxies]
    # A proxy may write the address of another proxy as IPv4 mapped into IPv6.
    mapped = [f"::ffff:{net.network_address}/{net.prefixlen + 96}" for net in networks if net.version == 4]
    return [Middleware(ProxyHeadersMiddleware, trusted_hosts=[*map(str, networks), *mapped])]


def _answer_http_exception(settings: Settings) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        return failures.http_exception(request, error, settings)

    return answer


def _lifespan(settings: Settings) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        closing = asyncio.Event()
        serving = asyncio.create_task(_keep_open(app, settings, begun, closing))
        await begun
        try:
            yield
        finally:
            closing.set()
            await serving

    return lifespan


async def _keep_open(app: Starlette, settings: Settings, begun: "asyncio.Future[None]", closing: asyncio.Event) -> None:
    """Open the instance, and close it when asked to. `begun` is done when the process may serve.

    If the database is not available, the process serves 503 until it is, instead of ending: a worker that is replaced
    while the database restarts must not take the healthy ones with it.
    """
    while not closing.is_set():
        try:
            async with _open(settings) as instance:
                app.state.instance = instance
                if not begun.done():
                    begun.set_result(None)
                with _frozen_gc(), audit_stream(settings):
                    await closing.wait()
            return
        except Exception as error:
            if hasattr(app.state, "instance"):
                raise  # it was open, so this is an error of closing
            if not begun.done() and not is_unreachable(error):
                begun.set_exception(error)
                return
            log_unreachable(error)
        if not begun.done():
            begun.set_result(None)
        with suppress(TimeoutError):
            await asyncio.wait_for(closing.wait(), _RETRY_SECONDS)


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[Instance]:
    async with (
        tracing(settings),
        open_instance(settings, serving=True) as instance,
        purge_in_background(settings, instance.cipher),
        watch_event_loop(),
        write_collected_in_background(instance.pending_events, instance.folded_lines),
        send_mails(instance.email_login.mail_queue, settings),
    ):
        yield instance


@contextmanager
def _frozen_gc() -> Iterator[None]:
    """Objects created during start-up live until shutdown.

    `gc.freeze` keeps the cyclic collector from rescanning them, which costs about 5 % CPU.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
