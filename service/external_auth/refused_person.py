"""Names the person of a refused code, for the audit log and the look-up of refusals."""

from service.accounts.lookup import find_by_email, find_by_id_claim
from service.accounts.subjects import EmailClaim, IdClaim
from service.audit.log import Actor
from service.errors import SignInRefused
from service.external_auth.codes import UnverifiedCode, claimed_subject_of
from service.sign_in.attempt import SignInAttempt
from service.sign_in.outcome import ProvenPerson


async def find_refused_person(
    unverified: UnverifiedCode, attempt: SignInAttempt, refusal: SignInRefused
) -> ProvenPerson | None:
    """Return the person of a refused code; None if the code's signature is not right."""
    if not unverified.is_genuine:
        return None
    name = claimed_subject_of(unverified)
    email = name.email if isinstance(name, EmailClaim) else None
    user_id = refusal.user_id or await _id_of(name)
    return ProvenPerson(
        Actor.of_code(unverified.signer.id, attempt.client.ip_address),
        person=user_id or email or "",
        user_id=user_id,
        detail={"reason": refusal.cause} | ({"email": email} if email else {}),
    )


async def _id_of(name: IdClaim | EmailClaim | None) -> str | None:
    """Return the ID of the user whom the code names by ID, external ID or email, so that all events are of one user."""
    match name:
        case IdClaim(id=user_id):
            user = await find_by_id_claim(user_id)
            return user.id if user else user_id
        case EmailClaim(email=email):
            user = await find_by_email(email)
            return user.id if user else None
        case None:
            return None
