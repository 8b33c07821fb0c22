"""Link login: a link or a form with a code signs the user in in this browser (contract §5).

The code does not stay in the address: every answer is a redirect, or a page whose address has no code. The exception is
the page for a code that works once, which is worthless after its button was pressed.
"""

from dataclasses import asdict
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from service.errors import SignInRefused
from service.external_auth.exchange import exchange, verify_only
from service.external_auth.held_codes import HeldLink, hold, take
from service.instance import Instance
from service.sessions.administration import OwnEnd
from service.sessions.lifecycle import LiveSession
from service.sessions.models import TokenTransport
from service.sign_in.attempt import Confirmation, ConfirmationNeeded, Person, SignInAttempt, SignInResult
from service.web.branding import branded_page
from service.web.destination import after_sign_in
from service.web.forms import given_once, read_form
from service.web.navigation import (
    comes_from_elsewhere,
    is_navigation,
    lacks_lax_cookies,
    refuse_other_than_navigation,
)
from service.web.prefetch import is_speculative, refuse_speculative_request
from service.web.requests import instance_of, member_of
from service.web.security import see_other
from service.web.sign_in.cookie_session import end_session_of, go_on_signed_in
from service.web.sign_in.front_page import show_front_page
from service.web.sign_in.link_parameters import Link, corrected_return_to, has_code_elsewhere
from service.web.sign_in.refused import redirect_to_refusal
from service.web.sign_in.start import sign_in_ways
from service.web.sign_in.started import StartedSignIns

PATH = "/"
CONTINUE_PATH = "/login/continue"

# An application may sign its users in through a window that it opened, and wait for that window to come back.
_KEEPS_OPENER = {"Cross-Origin-Opener-Policy": "unsafe-none"}


async def answer_link(request: Request) -> Response:
    """`GET /`, and `GET /login` with a code."""
    link = Link.of(request.query_params)
    if link.code is None and not has_code_elsewhere(request.query_params):
        return_to = corrected_return_to(request.url.query)
        return await (show_front_page(request) if return_to is None else drop_code(request, return_to))
    return await _answer(request, link, elsewhere=comes_from_elsewhere(request))


async def drop_code(request: Request, return_to: str) -> Response:
    """Redirect to the same page, without a code that is not of this request."""
    return see_other(instance_of(request).settings, f"{request.url.path}?{urlencode({'returnTo': return_to})}")


async def answer_form(request: Request) -> Response:
    """`POST /`, and `POST /login` with a code. Query parameters are ignored."""
    link = Link.of(await read_form(request))
    if is_navigation(request) and _lacks_lax_cookies(request, link):
        return await _hold_form(request, link)
    return await _answer(request, link, elsewhere=comes_from_elsewhere(request))


def _lacks_lax_cookies(request: Request, link: Link) -> bool:
    """Return whether the cookies are missing that say who is signed in, and which sign-ins this browser has started.

    A browser without Fetch Metadata says by `Origin` that another page sent the form. That matters only for a `state`.
    """
    return lacks_lax_cookies(request) or (
        bool(link.state)
        and "sec-fetch-site" not in request.headers
        and request.headers.get("origin") not in (None, instance_of(request).settings.public_url)
    )


async def continue_held(request: Request) -> Response:
    """`GET` and `POST /login/continue`: finish the link login that waits under a one-time ID."""
    if request.method == "HEAD" or is_speculative(request) or not is_navigation(request):
        return await _answer(request, Link(None, None), elsewhere=True)
    fields = await read_form(request) if request.method == "POST" else request.query_params
    held = await take(given_once(fields, "id") or "")
    if held is None:
        return await _ask_to_start_again(request, None)
    return await _answer(request, Link(held.code, held.return_to, held.state), elsewhere=True)


async def _answer(request: Request, link: Link, *, elsewhere: bool) -> Response:
    """Sign in, or say why not. `elsewhere`: a page of another origin caused this, or may have."""
    instance = instance_of(request)
    if is_speculative(request):
        return refuse_speculative_request()
    if request.method == "HEAD":
        return Response(headers={"Cache-Control": "no-store"})
    if not is_navigation(request):
        return await refuse_other_than_navigation(request)
    configuration = await instance.external_auth.configuration_cache.current()
    started = StartedSignIns.of(request, instance.settings)
    if not (started.has(link.state) if link.state else not configuration.sign_in.require_state):
        return await _ask_to_start_again(request, link.return_to)
    before = await member_of(request)
    confirmation = Confirmation.BEFORE_REPLACING if elsewhere else Confirmation.NONE
    if request.method == "GET" and configuration.enabled and configuration.policy.single_use:
        # Mail scanners open links, and would use the code up. They do not send forms.
        if before.session is None or not elsewhere:
            return await _ask(request, link)
        confirmation = Confirmation.ALWAYS
    attempt = SignInAttempt(before.client, TokenTransport.COOKIE, before.session, before.session_token, confirmation)
    try:
        response = await _sign_in(request, link, attempt)
    except ConfirmationNeeded as needed:
        if needed.replaced is not None and request.method == "GET" and request.url.path != CONTINUE_PATH:
            return await _go_on_without_code(instance, link)
        return await _ask(request, link, needed)
    if link.state:
        started.without(link.state).remember(response, instance.settings)
    return response


async def _ask_to_start_again(request: Request, return_to: str | None) -> Response:
    """Return the 403 page for a sign-in that this browser did not start, or that is over."""
    ways = await sign_in_ways(request, return_to)
    return await branded_page(request, "sign_in/start_again.html", status=403, ways=ways)


async def _sign_in(request: Request, link: Link, attempt: SignInAttempt) -> Response:
    """Continue the cookie's session if possible, or open a new one. A refusal leaves the cookie's session as it is."""
    instance = instance_of(request)
    try:
        result = await exchange(link.code or "", attempt, instance.external_auth)
    except SignInRefused as refusal:
        return await redirect_to_refusal(request, refusal, link.return_to)
    await _end_replaced(request, attempt.session, result)
    return go_on_signed_in(request, result, after_sign_in(instance.settings, link.return_to))


async def _hold_form(request: Request, link: Link) -> Response:
    """Answer a form of another site with a page that continues by itself, by a form of this origin.

    Only the second form carries the cookie that says who is signed in.
    """
    instance = instance_of(request)
    attempt = SignInAttempt((await member_of(request)).client, TokenTransport.COOKIE)
    try:
        await verify_only(link.code or "", attempt, instance.external_auth)
    except SignInRefused as refusal:
        return await redirect_to_refusal(request, refusal, link.return_to)
    held_id = await hold(_held(link))
    return await branded_page(
        request,
        "sign_in/finish.html",
        checks_origin=True,
        scripts=True,
        headers=_KEEPS_OPENER,
        held_id=held_id,
    )


async def _go_on_without_code(instance: Instance, link: Link) -> Response:
    """Redirect to the page with the question, whose address has a one-time ID in place of the code."""
    return see_other(instance.settings, f"{CONTINUE_PATH}?id={await hold(_held(link))}")


def _held(link: Link) -> HeldLink:
    return HeldLink(link.code or "", link.return_to, link.state)


async def _ask(request: Request, link: Link, needed: ConfirmationNeeded | None = None) -> Response:
    """Return the page with the button Continue. If it replaces another user, it names both."""
    names = None
    if needed is not None and needed.replaced is not None:
        names = _names(needed.replaced, needed.person)
    return await branded_page(request, "continue.html", headers=_KEEPS_OPENER, link=asdict(link), names=names)


def _names(replaced: Person, person: Person) -> tuple[str, str]:
    """Return what tells the two apart: the emails, or the IDs where one has no email or both have the same."""
    names = replaced.email or replaced.id, person.email or person.id
    return names if names[0] != names[1] else (replaced.id, person.id)


async def _end_replaced(request: Request, before: LiveSession | None, result: SignInResult) -> None:
    """End the cookie's session if it belonged to another user: after the cookie is replaced, no page could end it."""
    if before is not None and before.user.serial != result.session.user.serial:
        await end_session_of(request, before, OwnEnd.REPLACED)
