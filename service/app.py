"""The application: what is wired to what, what opens with it, and what it does beside answering requests."""

import asyncio
import gc
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from functools import partial

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from service.email_login.allowances import purge_allowances
from service.email_login.codes import purge_codes
from service.email_login.links import purge_links
from service.email_login.mail_queue import purge_mail_queue
from service.email_login.mail_worker import send_mails
from service.external_auth.exchange import purge_used_codes
from service.graphql.endpoint import graphql_endpoint
from service.instance import open_instance
from service.logs import configure_logs
from service.sessions.access_tokens import purge_signing_keys
from service.sessions.lifecycle import purge_expired_sessions
from service.sessions.shown_once import purge_shown_secrets
from service.settings import Settings, load_settings
from service.web import email_sign_in, failures, invitation, probes, refusals
from service.web.admin.routes import admin_routes
from service.web.assets import serve_asset
from service.web.boundary import Boundary
from service.web.cors import CrossOrigin
from service.web.forms import MAX_BODY
from service.web.forward_auth import answer_forward_auth
from service.web.front_page import sign_out
from service.web.graphql_fast_path import GraphQLFastPath
from service.web.guide.routes import guide_routes
from service.web.link_login import answer_link_login
from service.web.prefetch import RejectSpeculativePosts
from service.web.requests import instance_of
from service.web.widget import serve_widget

PURGE_EVERY = 60  # seconds
PURGE_BATCH = 500  # rows: deleted in a few milliseconds, so that nobody waits for it
PURGE_PAUSE = 0.02  # seconds between two batches, for everybody else

_log = structlog.get_logger()


def create_app(settings: Settings, *, dev: bool = False) -> Starlette:
    """The whole service as an ASGI application. With `dev`, `/graphql` shows GraphiQL to browsers.

    Its lifespan opens the instance, and raises `SettingsError` where something that the operator set is wrong.
    """
    graphql = Route("/graphql", CrossOrigin(graphql_endpoint(instance_of, settings, dev=dev), settings))
    app = Starlette(
        routes=[graphql, *_other_routes(), *guide_routes(settings)],
        middleware=[
            Middleware(Boundary, settings=settings),
            *_proxy_headers(settings),
            Middleware(RejectSpeculativePosts),
            Middleware(GraphQLFastPath, route=graphql),
        ],
        exception_handlers={HTTPException: _answer_http_exception(settings)},
        lifespan=_lifespan(settings),
    )
    app.router.redirect_slashes = False
    return app


def create_app_from_environment() -> Starlette:
    """The same in a worker process, which has nothing but the environment to go by."""
    settings = load_settings()
    configure_logs(settings)
    return create_app(settings)


def _other_routes() -> list[Route]:
    return [
        Route("/", answer_link_login, methods=["GET", "POST"], max_body_size=MAX_BODY),
        Route(email_sign_in.PATH, email_sign_in.answer_email_sign_in, methods=["GET", "POST"], max_body_size=MAX_BODY),
        Route(
            email_sign_in.CODE_PATH, email_sign_in.answer_email_code, methods=["GET", "POST"], max_body_size=MAX_BODY
        ),
        Route(invitation.PATH, invitation.answer_invitation, methods=["GET", "POST"], max_body_size=MAX_BODY),
        Route(refusals.PATH, refusals.show_refusal),
        Route("/logout", sign_out, methods=["POST"], max_body_size=MAX_BODY),
        Route("/widget.js", serve_widget),
        Route("/verify", answer_forward_auth),
        Route("/.well-known/jwks.json", probes.jwks),
        Route("/healthz", probes.healthz),
        Route("/readyz", probes.readyz),
        Route("/metrics", probes.metrics),
        Route("/static/{name:path}", serve_asset),
        *admin_routes(),
    ]


def _proxy_headers(settings: Settings) -> list[Middleware]:
    """Only proxies that the operator names are believed about whom they speak for."""
    if not settings.trusted_proxies:
        return []
    networks = [str(ipaddress.ip_network(network, strict=False)) for network in settings.trusted_proxies]
    return [Middleware(ProxyHeadersMiddleware, trusted_hosts=networks)]


def _answer_http_exception(settings: Settings) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        return failures.http_exception(request, error, settings)

    return answer


def _lifespan(settings: Settings) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with (
            open_instance(settings) as instance,
            _background(_purge_for_ever(settings)),
            send_mails(instance.email_login.mail_queue, settings),
        ):
            app.state.instance = instance
            with _frozen_gc():
                yield

    return lifespan


@contextmanager
def _frozen_gc() -> Iterator[None]:
    """What is made by now lives as long as the service: looking through it for garbage again and again takes 5 % of its CPU."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@asynccontextmanager
async def _background(work: Awaitable[None]) -> AsyncIterator[None]:
    """Work that goes on meanwhile, and stops at once in the end."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _purge_for_ever(settings: Settings) -> None:
    """What has expired is nobody's any more; it is deleted so that tables do not grow for ever."""
    purges = (
        partial(purge_expired_sessions, PURGE_BATCH),
        partial(purge_used_codes, PURGE_BATCH),
        partial(purge_shown_secrets, PURGE_BATCH),
        partial(purge_codes, PURGE_BATCH),
        partial(purge_allowances, PURGE_BATCH),
        partial(purge_links, PURGE_BATCH),
        partial(purge_mail_queue, PURGE_BATCH),
        partial(purge_signing_keys, settings),
    )
    while True:
        await asyncio.sleep(PURGE_EVERY)
        for purge in purges:
            await _purge(purge)


async def _purge(purge: Callable[[], Awaitable[int]]) -> None:
    """Batch after batch, each a transaction of its own. What goes wrong is tried again in a minute."""
    try:
        while True:
            if await purge() < PURGE_BATCH:
                return
            await asyncio.sleep(PURGE_PAUSE)
    except Exception as error:
        _log.warning("purge_failed", error=type(error).__name__)
