"""Link login: whoever opens a link with a code in it, or sends a form with one, is signed in in this browser (contract §5).

The code never stays in the address: every answer is a redirect, save for the page with the Continue button.
"""

from dataclasses import dataclass
from typing import Self

from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import Response

from service.errors import SignInRefused
from service.external_auth.exchange import exchange
from service.instance import Instance
from service.sessions.lifecycle import LiveSession, end_session
from service.sessions.models import TokenTransport
from service.settings import Settings
from service.sign_in.attempt import SignInAttempt, SignInResult
from service.web.destination import after_sign_in
from service.web.forms import given_once, read_form
from service.web.front_page import show_front_page
from service.web.pages import page
from service.web.prefetch import is_speculative, refuse_speculative_request
from service.web.refusals import redirect_to_refusal
from service.web.requests import instance_of, member_of
from service.web.security import see_other, set_session_cookie


@dataclass(frozen=True, slots=True)
class Link:
    """What a link or a form asks for. Without a code there is none to sign in with; it may still be asked for."""

    code: str | None
    return_to: str | None

    @classmethod
    def of(cls, fields: FormData | QueryParams) -> Self:
        """From parameters or fields, which have the same names."""
        return cls(given_once(fields, "externalAuthCode"), given_once(fields, "returnTo"))


async def answer_link_login(request: Request) -> Response:
    """`/` and `/login`, with a code or without. In the query of a POST nothing is looked for."""
    if request.method == "POST":
        return await _answer_with(request, Link.of(await read_form(request)))
    link = Link.of(request.query_params)
    return await (show_front_page(request) if link.code is None else _answer_with(request, link))


async def _answer_with(request: Request, link: Link) -> Response:
    instance = instance_of(request)
    if is_speculative(request):
        return refuse_speculative_request()
    if request.method == "HEAD":
        return Response(headers={"Cache-Control": "no-store"})
    if request.method == "GET" and await _codes_work_once(instance):
        # Mail scanners open links; they press no buttons.
        return page(instance.settings, "continue.html", action=request.url.path, link=link)
    return await _sign_in(request, link, instance)


async def _sign_in(request: Request, link: Link, instance: Instance) -> Response:
    """The session of the cookie is continued where it can be, replaced by another user's, and left alone by a refusal."""
    before = await member_of(request)
    attempt = SignInAttempt(before.client, TokenTransport.COOKIE, before.session, before.session_token)
    try:
        result = await exchange(link.code or "", attempt, instance.external_auth)
    except SignInRefused as refusal:
        return redirect_to_refusal(instance.settings, refusal)
    await _end_replaced(before.session, result)
    return _welcome(result, link, instance.settings)


async def _codes_work_once(instance: Instance) -> bool:
    configuration = await instance.external_auth.configuration_cache.current()
    return configuration.enabled and configuration.policy.single_use


async def _end_replaced(before: LiveSession | None, result: SignInResult) -> None:
    """Once somebody else is signed in here, nobody is left who could end the session that was."""
    if before is not None and before.user.serial != result.session.user.serial:
        await end_session(before.id)


def _welcome(result: SignInResult, link: Link, settings: Settings) -> Response:
    response = see_other(settings, after_sign_in(settings, link.return_to))
    set_session_cookie(response, settings, TokenTransport.COOKIE, result.token, result.session.expires_at)
    return response
