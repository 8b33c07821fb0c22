"""A refused sign-in: what happened and what to do, for link login and for email sign-in, from one table (contract §5).

After link login the page has an address of its own, without the code. That address carries the error's code and the
reference, and a person may have changed both: values that this service cannot have written are answered with 404.
"""

import re
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service.errors import SignInRefused
from service.refusal_texts import REFUSAL_TEXTS, SignInErrorCode
from service.sessions.models import TokenTransport
from service.web.pages import page
from service.web.requests import instance_of
from service.web.security import see_other
from service.web.sign_in.start import SignInWays, read_return_to, sign_in_ways

PATH = "/login/refused"

_REFERENCE = re.compile(r"[2-9A-HJ-NP-TV-Z]{10}", re.ASCII)
_SECONDS = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)


# Email sign-in shows these on its own pages, so no address of this page carries them.
_NOT_BY_LINK = {SignInErrorCode.EMAIL_LOGIN_DISABLED, SignInErrorCode.INVALID_EMAIL_CODE}


# The person gets a fresh code by signing in again at the customer's own page. It helps with no other refusal.
_FRESH_CODE_HELPS = {
    SignInErrorCode.MALFORMED_CODE,
    SignInErrorCode.INVALID_SIGNATURE,
    SignInErrorCode.CODE_EXPIRED,
    SignInErrorCode.CODE_NOT_YET_VALID,
    SignInErrorCode.CODE_ALREADY_USED,
}


async def redirect_to_refusal(request: Request, refusal: SignInRefused, return_to: str | None) -> Response:
    """Return a redirect to the page of this refusal, so that the code does not stay in the address.

    `returnTo` goes with it if the page has a link by which the person can sign in again.
    """
    parameters = {"error": refusal.code.value, "reference": refusal.reference}
    if refusal.retry_after is not None:
        parameters["retryAfter"] = str(refusal.retry_after)
    if return_to is not None and refusal.code in _FRESH_CODE_HELPS and (await sign_in_ways(request, None)).start:
        parameters["returnTo"] = return_to
    return see_other(instance_of(request).settings, f"{PATH}?{urlencode(parameters)}")


async def show_refusal(request: Request) -> Response:
    """`GET /login/refused`: explain the refusal of a link login. 404 for an error or reference that cannot be real."""
    error, reference = request.query_params.get("error", ""), request.query_params.get("reference", "")
    if error not in SignInErrorCode.__members__ or error in _NOT_BY_LINK or not _REFERENCE.fullmatch(reference):
        raise HTTPException(404)
    wait = _SECONDS.fullmatch(request.query_params.get("retryAfter", ""))
    ways = await sign_in_ways(request, read_return_to(request)) if error in _FRESH_CODE_HELPS else None
    return _explain(request, SignInErrorCode(error), reference, wait[0] if wait else None, ways=ways)


def show_refused_sign_in(request: Request, refusal: SignInRefused, token_transport: TokenTransport) -> Response:
    """Explain a refusal of email sign-in or of a one-time link, at the address of its form."""
    in_panel = token_transport is TokenTransport.ADMIN_COOKIE
    return _explain(request, refusal.code, refusal.reference, None, in_panel=in_panel)


def _explain(
    request: Request,
    error: SignInErrorCode,
    reference: str,
    wait: str | None,
    *,
    in_panel: bool = False,
    ways: SignInWays | None = None,
) -> Response:
    text = REFUSAL_TEXTS[error]
    return page(
        instance_of(request).settings,
        "refused.html",
        status=text.status,
        headers={"Retry-After": wait} if wait and text.status == 429 else None,
        what_happened=text.what_happened,
        what_to_do=text.in_panel if in_panel and text.in_panel else text.what_to_do,
        error=error,
        reference=reference,
        ways=ways if ways and ways.start else None,
    )
