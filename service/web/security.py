"""The security headers of every page and redirect, and the session cookies."""

from datetime import datetime

from starlette.responses import RedirectResponse, Response

from service.clock import now
from service.credentials import cookie_name, device_cookie_name
from service.email_login.known_clients import LIFETIME as KNOWN_CLIENT_LIFETIME
from service.sessions.models import TokenTransport
from service.settings import Settings
from service.web.destination import origin_of

HSTS_SECONDS = 31_536_000  # a year; without includeSubDomains, because other hosts may not support https


def page_headers(
    settings: Settings, *, checks_origin: bool = False, scripts: bool = False, leads_to: str | None = None
) -> dict[str, str]:
    """Return the headers of an HTML page. `leads_to`: a URL beside the application's that its forms may redirect to.

    With `Referrer-Policy: no-referrer` browsers send `Origin: null` with a form (Fetch, "append a request Origin
    header"). So a page with a form whose origin is checked (`checks_origin`) sends `same-origin`: other sites get no
    referrer either.
    """
    headers = {
        **_common_headers(settings),
        "Content-Security-Policy": _content_security_policy(settings, scripts=scripts, leads_to=leads_to),
        "Referrer-Policy": "same-origin" if checks_origin else "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if settings.is_secure or settings.is_on_loopback:
        # On plain http beyond loopback, browsers ignore the header and log a warning.
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return headers


def see_other(settings: Settings, url: str) -> Response:
    """Return a 303 that is not cached and sends no referrer.

    Without `Cross-Origin-Opener-Policy`: an application may sign its users in through a window that it opened.
    """
    return RedirectResponse(url, 303, {**_common_headers(settings), "Referrer-Policy": "no-referrer"})


def set_session_cookie(
    response: Response, settings: Settings, token_transport: TokenTransport, token: str, expires_at: datetime
) -> None:
    """Set the cookie with the session token. It expires with the session."""
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


def set_device_cookie(response: Response, settings: Settings, token: str) -> None:
    """Set the cookie that makes this browser known for email sign-in. It gives no rights, and signing out keeps it."""
    response.set_cookie(
        device_cookie_name(settings),
        token,
        max_age=int(KNOWN_CLIENT_LIFETIME.total_seconds()),
        path="/",
        secure=settings.is_secure,
        httponly=True,
        samesite="lax",
    )


def clear_session_cookie(response: Response, settings: Settings, token_transport: TokenTransport) -> None:
    """Delete the session cookie. Name, path and domain must equal those that it was set with."""
    response.delete_cookie(
        cookie_name(settings, token_transport),
        path="/",
        domain=_cookie_domain(settings, token_transport),
        secure=settings.is_secure,
        httponly=True,
        samesite="strict" if token_transport is TokenTransport.ADMIN_COOKIE else "lax",
    )


def _common_headers(settings: Settings) -> dict[str, str]:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if settings.is_secure:
        headers["Strict-Transport-Security"] = f"max-age={HSTS_SECONDS}"
    return headers


def _content_security_policy(settings: Settings, *, scripts: bool, leads_to: str | None) -> str:
    """Return the policy: no scripts, or only those of `static/`.

    Chromium applies `form-action` also to the redirect after a form, so it allows the application's origin.
    """
    script_source = "script-src 'self'; " if scripts else ""
    form_targets = ["'self'"] + [origin_of(url) for url in (settings.app_url, leads_to) if url]
    return (
        f"default-src 'none'; {script_source}style-src 'self'; img-src 'self'; "
        f"form-action {' '.join(form_targets)}; frame-ancestors 'none'; base-uri 'none'"
    )


def _cookie_domain(settings: Settings, token_transport: TokenTransport) -> str | None:
    return None if token_transport is TokenTransport.ADMIN_COOKIE else settings.cookie_domain
