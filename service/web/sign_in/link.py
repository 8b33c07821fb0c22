"""Link login: a link or a form with a code signs the user in in this browser (contract §5).

The code does not stay in the address: every answer is a redirect, except the page with the Continue button.
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
from service.sign_in.attempt import SignInAttempt, SignInResult
from service.web.destination import after_sign_in
from service.web.forms import given_once, read_form
from service.web.pages import page
from service.web.prefetch import is_speculative, refuse_speculative_request
from service.web.requests import instance_of, member_of
from service.web.sign_in.cookie_session import go_on_signed_in
from service.web.sign_in.front_page import show_front_page
from service.web.sign_in.refused import redirect_to_refusal

PATH = "/"

_CODE = "externalAuthCode"


@dataclass(frozen=True, slots=True)
class Link:
    """What a link or a form asks for. `code` is None if it was not given."""

    code: str | None
    return_to: str | None

    @classmethod
    def of(cls, fields: FormData | QueryParams) -> Self:
        """Read query parameters or form fields, which have the same names."""
        return cls(given_once(fields, _CODE), given_once(fields, "returnTo"))


def has_code(fields: FormData | QueryParams) -> bool:
    """Return whether a link or form asks for link login, even if with an empty or repeated code."""
    return _CODE in fields


async def answer_link(request: Request) -> Response:
    """`GET /`, and `GET /login` with a code."""
    link = Link.of(request.query_params)
    return await (show_front_page(request) if link.code is None else _answer_with(request, link))


async def answer_form(request: Request) -> Response:
    """`POST /`, and `POST /login` with a code. Query parameters are ignored."""
    return await _answer_with(request, Link.of(await read_form(request)))


async def _answer_with(request: Request, link: Link) -> Response:
    instance = instance_of(request)
    if is_speculative(request):
        return refuse_speculative_request()
    if request.method == "HEAD":
        return Response(headers={"Cache-Control": "no-store"})
    if request.method == "GET" and await _codes_work_once(instance):
        # Mail scanners open links, and would use the code up. They do not send forms.
        return page(instance.settings, "continue.html", action=request.url.path, link=link)
    return await _sign_in(request, link, instance)


async def _sign_in(request: Request, link: Link, instance: Instance) -> Response:
    """Continue the cookie's session if possible, or open a new one. A refusal leaves the cookie's session as it is."""
    before = await member_of(request)
    attempt = SignInAttempt(before.client, TokenTransport.COOKIE, before.session, before.session_token)
    try:
        result = await exchange(link.code or "", attempt, instance.external_auth)
    except SignInRefused as refusal:
        return redirect_to_refusal(instance.settings, refusal)
    await _end_replaced(before.session, result)
    return go_on_signed_in(request, result, after_sign_in(instance.settings, link.return_to))


async def _codes_work_once(instance: Instance) -> bool:
    configuration = await instance.external_auth.configuration_cache.current()
    return configuration.enabled and configuration.policy.single_use


async def _end_replaced(before: LiveSession | None, result: SignInResult) -> None:
    """End the cookie's session if it belonged to another user: after the cookie is replaced, no page could end it."""
    if before is not None and before.user.serial != result.session.user.serial:
        await end_session(before.id)
