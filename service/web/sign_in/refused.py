"""A refused sign-in: what happened and what to do, for link login and for email sign-in, from one table (contract §5).

After link login the page has an address of its own, without the code. That address carries the error's code and the
reference, and a person may have changed both: values that this service cannot have written are answered with 404.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service.errors import SignInErrorCode, SignInRefused
from service.sessions.models import TokenTransport
from service.settings import Settings
from service.web.pages import page
from service.web.requests import instance_of
from service.web.security import see_other

PATH = "/login/refused"

_REFERENCE = re.compile(r"[2-9A-HJ-NP-TV-Z]{10}", re.ASCII)
_SECONDS = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A refusal for the person who wants to sign in. `in_panel` replaces `what_to_do` in the admin panel."""

    status: int
    what_happened: str
    what_to_do: str
    in_panel: str | None = None


_EXPLANATIONS: Mapping[str, Explanation] = {
    SignInErrorCode.EXTERNAL_AUTH_DISABLED: Explanation(
        403,
        "Signing in with a link is switched off",
        "Sign in another way, or ask your administrator.",
    ),
    SignInErrorCode.EMAIL_LOGIN_DISABLED: Explanation(
        403,
        "Signing in by email is switched off",
        "Use the link that your company gave you, or ask your administrator.",
        in_panel="The operator of the service can let an admin in: the command `doorcode admin invite` prints a link.",
    ),
    SignInErrorCode.MALFORMED_CODE: Explanation(
        401,
        "This link is damaged or incomplete",
        "A part of it may be missing. Go back to where you found it, and open it there instead of copying it.",
    ),
    SignInErrorCode.INVALID_SIGNATURE: Explanation(
        401,
        "This link does not come from a system that is trusted here",
        "Go back to where you found it and open it again. If that does not help, tell your administrator.",
    ),
    SignInErrorCode.CODE_EXPIRED: Explanation(
        401,
        "This link has expired",
        "Go back to where you found it and open it again. You get a new link there.",
    ),
    SignInErrorCode.CODE_NOT_YET_VALID: Explanation(
        401,
        "This link is not valid yet",
        "Wait a minute and open it again. If that does not help, tell your administrator that a clock may be wrong.",
    ),
    SignInErrorCode.INVALID_CLAIMS: Explanation(
        401,
        "The code in this link has invalid data",
        "The system that made the link has to be corrected. Tell your administrator.",
    ),
    SignInErrorCode.CODE_ALREADY_USED: Explanation(
        401,
        "This link has been used already",
        "A link works once. Go back to where you found it and open a new one.",
    ),
    SignInErrorCode.UNKNOWN_USER: Explanation(
        401,
        "There is no account for you here",
        "Ask your administrator for access.",
    ),
    SignInErrorCode.EMAIL_TAKEN: Explanation(
        403,
        "Another account has your email address",
        "Ask your administrator to join the two accounts.",
    ),
    SignInErrorCode.SEAT_LIMIT_REACHED: Explanation(
        403,
        "All seats are taken",
        "Ask your administrator to free a seat or to add one. Then try again.",
    ),
    SignInErrorCode.USER_DEACTIVATED: Explanation(
        403,
        "Your account has been deactivated",
        "Ask your administrator to reactivate it.",
    ),
    SignInErrorCode.TOO_MANY_ATTEMPTS: Explanation(
        429,
        "Too many failed tries",
        "They came from your network, perhaps from another person. Wait a few minutes, then open the link again.",
    ),
}


# Email sign-in shows these on its own pages, so no address of this page carries them.
_NOT_BY_LINK = {SignInErrorCode.EMAIL_LOGIN_DISABLED, SignInErrorCode.INVALID_EMAIL_CODE}


def redirect_to_refusal(settings: Settings, refusal: SignInRefused) -> Response:
    """Return a redirect to the page of this refusal, so that the code does not stay in the address."""
    parameters = {"error": refusal.code.value, "reference": refusal.reference}
    if refusal.retry_after is not None:
        parameters["retryAfter"] = str(refusal.retry_after)
    return see_other(settings, f"{PATH}?{urlencode(parameters)}")


async def show_refusal(request: Request) -> Response:
    """`GET /login/refused`: explain the refusal of a link login. 404 for an error or reference that cannot be real."""
    error, reference = request.query_params.get("error", ""), request.query_params.get("reference", "")
    if error not in _EXPLANATIONS or error in _NOT_BY_LINK or not _REFERENCE.fullmatch(reference):
        raise HTTPException(404)
    wait = _SECONDS.fullmatch(request.query_params.get("retryAfter", ""))
    return _explain(request, SignInErrorCode(error), reference, wait[0] if wait else None)


def show_refused_sign_in(request: Request, refusal: SignInRefused, token_transport: TokenTransport) -> Response:
    """Explain a refusal of email sign-in or of a one-time link, at the address of its form."""
    in_panel = token_transport is TokenTransport.ADMIN_COOKIE
    return _explain(request, refusal.code, refusal.reference, None, in_panel=in_panel)


def _explain(
    request: Request, error: SignInErrorCode, reference: str, wait: str | None, *, in_panel: bool = False
) -> Response:
    explanation = _EXPLANATIONS[error]
    return page(
        instance_of(request).settings,
        "refused.html",
        status=explanation.status,
        headers={"Retry-After": wait} if wait and explanation.status == 429 else None,
        what_happened=explanation.what_happened,
        what_to_do=explanation.in_panel if in_panel and explanation.in_panel else explanation.what_to_do,
        error=error,
        reference=reference,
    )
