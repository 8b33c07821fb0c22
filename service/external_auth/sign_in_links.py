"""Sign-in links that an admin makes for one user: codes signed here, as the customer's backend signs them (contract §3).

A link is a code like any other. It ends with its time, and the cut-offs of the user and of all codes refuse it earlier.
"""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from service.accounts.lookup import find_by_id
from service.accounts.models import User, UserRole, UserStatus
from service.audit.actions import Action
from service.audit.log import Actor, record
from service.clock import to_the_second
from service.database import transaction
from service.encryption import Cipher
from service.errors import BadUserInput, Conflict, NotFound
from service.external_auth.models import ExternalAuth
from service.external_auth.signing import prepare_code

DEFAULT_LIFETIME = 3_600  # seconds
SHORTEST_LIFETIME = 300  # seconds: 5 minutes
LONGEST_LIFETIME = 7 * 86_400  # seconds: 7 days


@dataclass(frozen=True, slots=True)
class SignInLink:
    """A link that signs in a user, and when it expires."""

    url: str
    expires_at: datetime


async def create_sign_in_link(
    user_id: str, by: Actor, cipher: Cipher, public_url: str, *, lifetime: int = DEFAULT_LIFETIME
) -> SignInLink:
    """Return a link that signs in this user, for `lifetime` seconds, and record who made it for whom.

    The code names the user by the external ID, so it changes nothing of the user and cannot create one. Raises
    `NotFound`; `BadUserInput` for a lifetime out of range; and `Conflict` if sign-in would refuse the link: the user is
    an admin, deactivated or without external ID, JWT sign-in is off, or the policy does not admit it.
    """
    if not SHORTEST_LIFETIME <= lifetime <= LONGEST_LIFETIME:
        raise BadUserInput(
            f"The lifetime of a sign-in link must be between {SHORTEST_LIFETIME} seconds (5 minutes) and {LONGEST_LIFETIME} "
            "seconds (7 days)."
        )
    _check_configuration(await ExternalAuth.get(id=1), lifetime)
    user = await find_by_id(user_id)
    if user is None:
        raise NotFound("There is no user with this id.")
    _check_user(user)
    prepared = await prepare_code({"id": user.external_id}, cipher, lifetime=lifetime)
    detail = {"until": to_the_second(prepared.expires_at), "jti": prepared.claims["jti"]}
    async with transaction():
        await record(
            Action.USER_SIGN_IN_LINK_MADE, by, user_id=user.id, secret_id=prepared.secret.row.id, detail=detail
        )
    code = prepared.sign()
    return SignInLink(f"{public_url}/?{urlencode({'externalAuthCode': code.text})}", code.expires_at)


def _check_configuration(auth: ExternalAuth, lifetime: int) -> None:
    if not auth.enabled:
        raise Conflict("JWT sign-in is off, so a link signs no one in. Enable JWT sign-in first.")
    if auth.require_state:
        raise Conflict(
            "Links that did not start at your own sign-in page are refused here, because `requireState` is set. Switch it "
            "off to use sign-in links."
        )
    if auth.max_lifetime_seconds is not None and lifetime > auth.max_lifetime_seconds:
        raise Conflict(
            f"The policy accepts codes of at most {auth.max_lifetime_seconds} seconds. Choose a shorter time, or raise the "
            "maximum lifetime in the policy."
        )


def _check_user(user: User) -> None:
    if user.role is UserRole.ADMIN:
        raise Conflict("This user is an admin. Sign-in links are for members; an admin signs in by email.")
    if user.current_status is not UserStatus.ACTIVE:
        raise Conflict("This user is deactivated, so a link signs no one in. Reactivate the user first.")
    if user.external_id is None:
        raise Conflict(
            "This user has no external ID, by which a link names the user. Set the ID that the user has in your own system "
            "as external ID, then make the link. Or send an invitation."
        )
