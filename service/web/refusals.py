"""A refused link login: a page without the code in its address, in plain words (contract §5).

The address carries the error's code and the reference, both of which could be anything by the time they are read back:
what this service could not have written is not shown.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service.errors import SignInErrorCode, SignInRefused
from service.settings import Settings
from service.web.pages import page
from service.web.requests import instance_of
from service.web.security import see_other

PATH = "/login/refused"

_REFERENCE = re.compile(r"[2-9A-HJ-NP-TV-Z]{10}", re.ASCII)
_SECONDS = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A refusal for the person who opened the link: what happened, and what to do."""

    status: int
    what_happened: str
    what_to_do: str


_EXPLANATIONS: Mapping[str, Explanation] = {
    SignInErrorCode.EXTERNAL_AUTH_DISABLED: Explanation(
        403,
        "Signing in with a link is switched off",
        "Sign in another way, or ask your administrator.",
    ),
    SignInErrorCode.MALFORMED_CODE: Explanation(
        401,
        "This link is damaged or incomplete",
        "A part of it may have been lost on the way. Go back to where you found it, and open it there instead of copying it.",
    ),
    SignInErrorCode.INVALID_SIGNATURE: Explanation(
        401,
        "This link does not come from a system that is trusted here",
        "Go back to where you found it and open it again. If that does not help, tell your administrator.",
    ),
    SignInErrorCode.CODE_EXPIRED: Explanation(
        401,
        "This link has expired",
        "Go back to where you came from and open it again there. You will get a fresh one.",
    ),
    SignInErrorCode.CODE_NOT_YET_VALID: Explanation(
        401,
        "This link is not valid yet",
        "Wait a minute and open it again. If that does not help, tell your administrator that a clock may be wrong.",
    ),
    SignInErrorCode.INVALID_CLAIMS: Explanation(
        401,
        "This link is not filled in as it must be",
        "You can do nothing about it: the system that made it has to be mended. Tell your administrator.",
    ),
    SignInErrorCode.CODE_ALREADY_USED: Explanation(
        401,
        "This link has been used already",
        "Each link works once. Go back to where you came from and open a new one.",
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
        "Ask your administrator to free a seat or to add one. Then open the link again.",
    ),
    SignInErrorCode.USER_DEACTIVATED: Explanation(
        403,
        "Your account has been deactivated",
        "Ask your administrator to reactivate it.",
    ),
    SignInErrorCode.TOO_MANY_ATTEMPTS: Explanation(
        429,
        "Too many failed tries",
        "They came from your network, though perhaps not from you. Wait a little, then open the link again.",
    ),
}


def redirect_to_refusal(settings: Settings, refusal: SignInRefused) -> Response:
    """Away from the address with the code in it."""
    parameters = {"error": refusal.code.value, "reference": refusal.reference}
    if refusal.retry_after is not None:
        parameters["retryAfter"] = str(refusal.retry_after)
    return see_other(settings, f"{PATH}?{urlencode(parameters)}")


async def show_refusal(request: Request) -> Response:
    """`/login/refused`. What happened, what to do, and the reference; 404 for what no refusal could have led to."""
    error, reference = request.query_params.get("error", ""), request.query_params.get("reference", "")
    explanation = _EXPLANATIONS.get(error)
    if explanation is None or not _REFERENCE.fullmatch(reference):
        raise HTTPException(404)
    wait = _SECONDS.fullmatch(request.query_params.get("retryAfter", ""))
    return page(
        instance_of(request).settings,
        "refused.html",
        status=explanation.status,
        headers={"Retry-After": wait[0]} if wait and explanation.status == 429 else None,
        explanation=explanation,
        error=error,
        reference=reference,
    )
