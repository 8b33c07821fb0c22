"""A refused sign-in: what happened and what to do, for link login and for email sign-in, from one table (contract §5).

After link login the page has an address of its own, without the code. That address carries the error's code and the
reference, and a person may have changed both: values that this service cannot have written are answered with 404.
"""

import re
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service.audit.refusals import find_refusal
from service.clock import now
from service.errors import SignInRefused
from service.refusal_texts import REFUSAL_TEXTS, RefusalText, SignInErrorCode, refusal_text
from service.sessions.models import TokenTransport
from service.web.branding import branded_page
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
    SignInErrorCode.TOO_MANY_ATTEMPTS,
}

# Email login is another way for the same person. With EMAIL_TAKEN it signs in to the account that has the address.
_EMAIL_HELPS = _FRESH_CODE_HELPS | {SignInErrorCode.EXTERNAL_AUTH_DISABLED, SignInErrorCode.EMAIL_TAKEN}

_NO_WAYS = SignInWays(None, None)


async def redirect_to_refusal(request: Request, refusal: SignInRefused, return_to: str | None) -> Response:
    """Return a redirect to the page of this refusal, so that the code does not stay in the address.

    `returnTo` goes with it if the page has a link by which the person can sign in.
    """
    parameters = {"error": refusal.code.value, "reference": refusal.reference}
    if refusal.incomplete:
        parameters["incomplete"] = "yes"
    if refusal.retry_after is not None:
        parameters["retryAfter"] = str(refusal.retry_after)
    if return_to is not None and await _ways_after(request, refusal.code, None) != _NO_WAYS:
        parameters["returnTo"] = return_to
    return see_other(instance_of(request).settings, f"{PATH}?{urlencode(parameters)}")


async def show_refusal(request: Request) -> Response:
    """`GET /login/refused`: explain the refusal of a link login. 404 for an error or reference that cannot be real."""
    query = request.query_params
    error, reference = query.get("error", ""), query.get("reference", "")
    if error not in SignInErrorCode.__members__ or error in _NOT_BY_LINK or not _REFERENCE.fullmatch(reference):
        raise HTTPException(404)
    code = SignInErrorCode(error)
    wait = _SECONDS.fullmatch(query.get("retryAfter", ""))
    return await _explain(
        request,
        code,
        reference,
        text=refusal_text(code, incomplete=query.get("incomplete") == "yes"),
        wait=int(wait[0]) if wait else None,
        ways=await _ways_after(request, code, read_return_to(request)),
    )


async def show_refused_sign_in(request: Request, refusal: SignInRefused, token_transport: TokenTransport) -> Response:
    """Explain a refusal of email sign-in or of a one-time link, at the address of its form."""
    in_panel = token_transport is TokenTransport.ADMIN_COOKIE
    ways = _NO_WAYS if in_panel else await _ways_after(request, refusal.code, None)
    return await _explain(
        request, refusal.code, refusal.reference, text=REFUSAL_TEXTS[refusal.code], in_panel=in_panel, ways=ways
    )


async def _ways_after(request: Request, error: SignInErrorCode, return_to: str | None) -> SignInWays:
    """Return the ways to sign in that help after this refusal, as far as they are available."""
    ways = await sign_in_ways(request, return_to)
    return SignInWays(
        ways.start if error in _FRESH_CODE_HELPS | {SignInErrorCode.EMAIL_LOGIN_DISABLED} else None,
        ways.email if error in _EMAIL_HELPS else None,
    )


async def _explain(
    request: Request,
    error: SignInErrorCode,
    reference: str,
    *,
    text: RefusalText,
    ways: SignInWays,
    wait: int | None = None,
    in_panel: bool = False,
) -> Response:
    """Return the page. `wait`: the seconds after which the person may try again.

    The refusal is stored a moment after it happened. Until then, and when it was deleted, the time of this page is told.
    """
    seen = await find_refusal(reference)
    must_wait = wait if wait and text.status == 429 else None
    return await branded_page(
        request,
        "refused.html",
        status=text.status,
        scripts=True,
        headers={"Retry-After": str(must_wait)} if must_wait else None,
        text=text,
        what_to_do=text.in_panel if in_panel and text.in_panel else text.what_to_do,
        wait=must_wait,
        error=error,
        reference=reference,
        refused_at=seen.created_at if seen else now(),
        ways=ways,
    )
