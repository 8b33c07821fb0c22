"""What every page and redirect tells the browser to be strict about, and the cookies that carry sessions."""

from datetime import datetime

from starlette.responses import RedirectResponse, Response

from service.clock import now
from service.credentials import cookie_name
from service.sessions.models import TokenTransport
from service.settings import Settings
from service.web.destination import origin_of

HSTS_SECONDS = 31_536_000  # a year; no other host of the domain is spoken for


def page_headers(settings: Settings, *, checks_origin: bool = False, scripts: bool = False) -> dict[str, str]:
    """The headers of an HTML page.

    With `Referrer-Policy: no-referrer` browsers send `Origin: null` with a form (Fetch, "append a request Origin header"),
    so a page whose form is checked for its origin (`checks_origin`) says `same-origin`: still nothing leaves for elsewhere.
    """
    headers = {
        **_every_answer(settings),
        "Content-Security-Policy": _content_security_policy(settings, scripts=scripts),
        "Referrer-Policy": "same-origin" if checks_origin else "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if settings.is_secure or settings.is_on_loopback:
        # On plain http elsewhere browsers ignore it, and complain on the console.
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return headers


def see_other(settings: Settings, url: str) -> Response:
    """A 303 that no cache keeps, and that tells nobody where it came from.

    It says nothing of openers: an application may sign people in through a window that it has opened.
    """
    return RedirectResponse(url, 303, {**_every_answer(settings), "Referrer-Policy": "no-referrer"})


def set_session_cookie(
    response: Response, settings: Settings, token_transport: TokenTransport, token: str, expires_at: datetime
) -> None:
    """Let the browser keep the session's token for as long as the session lives."""
    response.set_cookie(
        cookie_name(settings, token_transport),
        token,
        max_age=max(1, int((expires_at - now()).total_seconds())),
        path="/",
        domain=_cookie_domain(settings, token_transport),
        secure=settings.is_secure,
        httponly=True,
        samesite="strict" if token_transport is TokenTransport.ADMIN_COOKIE else "lax",
    )


def clear_session_cookie(response: Response, settings: Settings, token_transport: TokenTransport) -> None:
    """Let the browser forget it. Name, path and domain are as it was set, or browsers keep it."""
    response.delete_cookie(
        cookie_name(settings, token_transport),
        path="/",
        domain=_cookie_domain(settings, token_transport),
        secure=settings.is_secure,
        httponly=True,
        samesite="strict" if token_transport is TokenTransport.ADMIN_COOKIE else "lax",
    )


def _every_answer(settings: Settings) -> dict[str, str]:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if settings.is_secure:
        headers["Strict-Transport-Security"] = f"max-age={HSTS_SECONDS}"
    return headers


def _content_security_policy(settings: Settings, *, scripts: bool) -> str:
    """No scripts, or those of `static/`.

    Chromium holds `form-action` also against where a form's answer redirects to: the application.
    """
    script_source = "script-src 'self'; " if scripts else ""
    form_targets = ["'self'"] + ([origin_of(settings.app_url)] if settings.app_url else [])
    return (
        f"default-src 'none'; {script_source}style-src 'self'; img-src 'self'; "
        f"form-action {' '.join(form_targets)}; frame-ancestors 'none'; base-uri 'none'"
    )


def _cookie_domain(settings: Settings, token_transport: TokenTransport) -> str | None:
    return None if token_transport is TokenTransport.ADMIN_COOKIE else settings.cookie_domain
