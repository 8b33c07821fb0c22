"""A refused email sign-in that no other address or code would mend: what happened and what to do, in plain words."""

from starlette.requests import Request
from starlette.responses import Response

from service.errors import SignInErrorCode, SignInRefused
from service.web.pages import page
from service.web.refusals import Explanation
from service.web.requests import instance_of

_EXPLANATIONS = {
    SignInErrorCode.EMAIL_LOGIN_DISABLED: Explanation(
        403,
        "Signing in by email is switched off",
        "Use the link that your company gave you, or ask your administrator.",
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
}


def show_refused_sign_in(request: Request, refusal: SignInRefused) -> Response:
    """With the reference, for whoever helps."""
    explanation = _EXPLANATIONS[refusal.code]
    return page(
        instance_of(request).settings,
        "refused.html",
        status=explanation.status,
        explanation=explanation,
        error=refusal.code,
        reference=refusal.reference,
    )


def refuse_other_origin(request: Request) -> Response:
    """For a form that does not come from a page of this origin."""
    return page(instance_of(request).settings, "sign_in_refused.html", status=403)
