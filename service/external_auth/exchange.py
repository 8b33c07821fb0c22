"""The exchange: a code becomes a session. The use case, told as the contract tells it, and its only transaction."""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog

from service.accounts.lookup import find_by_email, find_by_id_claim
from service.accounts.models import User
from service.accounts.provisioning import Decision, SignIn, decide, decide_for, note_seen, note_what_was_kept, provision
from service.accounts.subjects import EmailClaim, IdClaim, Subject, UserClaim
from service.audit.actions import Action
from service.audit.log import Actor, record_hourly
from service.clock import now
from service.database import Statement, transaction, write
from service.errors import BadUserInput, SignInErrorCode, SignInRefused
from service.external_auth.codes import Draft, VerifiedClaims, read_name_of, run_checks
from service.external_auth.front_door import FrontDoor, FrontDoorKeeper
from service.external_auth.policy import EmailLinking
from service.external_auth.policy_changes import LARGEST_CLOCK_SKEW
from service.metrics import SIGN_IN_REFUSALS, SIGN_INS
from service.rate_limit import FailedSignIns
from service.sessions.lifecycle import Client, LiveSession, Opening, can_continue, open_session
from service.sessions.models import Carrier, SignInMethod

_log = structlog.get_logger()

_USE_UP = Statement("INSERT INTO used_codes (id, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING")
_PURGE = Statement("DELETE FROM used_codes WHERE id IN (SELECT id FROM used_codes WHERE expires_at < $1 LIMIT $2)")
_END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Visit:
    """How a code came: from where, what carries the session it opens, and which session its request carries already."""

    client: Client
    carrier: Carrier
    session: LiveSession | None = None
    session_token: str | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """Somebody is signed in."""

    token: str
    session: LiveSession
    new_user: bool
    continued: bool


@dataclass(frozen=True, slots=True)
class ExchangeDesk:
    """What every exchange of this process shares. Lifetimes are in seconds."""

    front_door: FrontDoorKeeper
    failed_sign_ins: FailedSignIns
    session_lifetime: int


async def exchange(code: str, visit: Visit, desk: ExchangeDesk, *, lifetime: int | None = None) -> Grant:
    """Sign in whom the code speaks of, for `lifetime` seconds or less; raises `SignInRefused`.

    By a known user it costs two reads and one write. A refused code leaves nothing behind, save that the audit log
    counts the refusals of genuine ones.
    """
    if lifetime is not None and lifetime < 1:
        raise BadUserInput("`lifetimeSeconds` must be 1 or more.")
    try:
        grant = await _exchange(code, visit, desk, min(lifetime or desk.session_lifetime, desk.session_lifetime))
    except SignInRefused as refusal:
        SIGN_IN_REFUSALS.labels(refusal.code).inc()
        _log.info(
            "sign-in refused",
            code=refusal.code,
            cause=refusal.cause,
            reference=refusal.reference,
            ip=visit.client.ip_address,
        )
        raise
    SIGN_INS.labels(
        SignInMethod.EXTERNAL_JWT, "new" if grant.new_user else "continued" if grant.continued else "known"
    ).inc()
    return grant


async def _exchange(code: str, visit: Visit, desk: ExchangeDesk, lifetime: int) -> Grant:
    door = await desk.front_door.current()
    if not door.enabled:
        raise SignInRefused(SignInErrorCode.EXTERNAL_AUTH_DISABLED)
    draft = Draft(code, door.secrets, door.policy, now().timestamp())
    try:
        return await _sign_in(run_checks(draft), visit, door, lifetime)
    except SignInRefused as refusal:
        if draft.is_genuine:
            await _note_refusal(refusal, draft, visit)
        elif refusal.code is SignInErrorCode.INVALID_SIGNATURE:
            await _count_failure(visit, desk, refusal)
        raise


async def _sign_in(claims: VerifiedClaims, visit: Visit, door: FrontDoor, lifetime: int) -> Grant:
    by = Actor(f"code:{claims.secret_id}", visit.client.ip_address)
    linking = door.policy.email_linking is EmailLinking.LINK
    decision = await _decide(claims.subject, visit.session, linking)
    known = decision if isinstance(decision, SignIn) and not decision.changes_user else None
    until = _session_end(claims, door, lifetime)
    if known and not door.policy.single_use:
        grant = await _open_or_continue(known.user, False, claims, visit, door, until)
    else:
        async with transaction():
            if door.policy.single_use:
                await _use_up(claims)
            user, is_new = (
                (known.user, False) if known else await provision(claims.subject, link_by_email=linking, by=by)
            )
            grant = await _open_or_continue(user, is_new, claims, visit, door, until)
    if known:
        await note_what_was_kept(known, by)
    await note_seen(grant.session.user)
    await door.note_used(claims.secret_id)
    return grant


async def _decide(subject: Subject, session: LiveSession | None, linking: bool) -> Decision:
    """The session's own user is known already: where the code surely speaks of the same one, that saves the read.

    An id that is not its external id is looked up all the same: it may be the external id of somebody else.
    """
    user = session.user if session else None
    match subject:
        case UserClaim(id=user_id) if user is not None and user_id == user.external_id:
            return await decide_for(user, subject)
        case IdClaim(id=user_id) if user is not None and user_id == user.external_id:
            return SignIn(user)
        case EmailClaim(email=email) if user is not None and email == user.email:
            return SignIn(user)
        case _:
            return await decide(subject, link_by_email=linking)


async def _open_or_continue(
    user: User, is_new: bool, claims: VerifiedClaims, visit: Visit, door: FrontDoor, until: datetime
) -> Grant:
    if visit.session and visit.session_token and can_continue(visit.session, user, visit.carrier, until):
        session = replace(visit.session, user=user)  # as the code has just brought it up to date
        return Grant(visit.session_token, session, new_user=False, continued=True)
    opening = Opening(SignInMethod.EXTERNAL_JWT, visit.carrier, visit.client, door.session_epoch, claims.secret_id)
    opened = await open_session(user, opening, until)
    return Grant(opened.token, opened.session, new_user=is_new, continued=False)


def _session_end(claims: VerifiedClaims, door: FrontDoor, lifetime: int) -> datetime:
    """When a session that opens now ends: with its lifetime, or with the code where the policy says so.

    A code that is let in within the grace after its `exp` opens a session until the end of that grace.
    """
    moment = now()
    end = moment + timedelta(seconds=lifetime)
    if door.policy.session_ends_with_code and claims.expires_at is not None:
        past = claims.expires_at <= moment.timestamp()
        end = min(end, _moment(claims.expires_at + (door.policy.clock_skew_seconds if past else 0)))
    return end


async def _use_up(claims: VerifiedClaims) -> None:
    """Remember the code. In the transaction: a code that is refused later is not used up.

    It is remembered for as long as any policy would accept it: the grace may be made longer meanwhile.
    """
    assert claims.jti is not None and claims.expires_at is not None, "the policy check asks for both"
    forgotten_at = _moment(claims.expires_at + LARGEST_CLOCK_SKEW)
    if not await write(_USE_UP, used_code_id(claims.secret_id, claims.jti), forgotten_at):
        raise SignInRefused(SignInErrorCode.CODE_ALREADY_USED)


def used_code_id(secret_id: str, jti: str) -> str:
    """What is remembered of a used code: a `jti` is unique for one secret only."""
    return hashlib.sha256(f"{secret_id}\n{jti}".encode()).hexdigest()


def _moment(seconds: float) -> datetime:
    """Any finite number of seconds as a date; what lies beyond all dates is the last one."""
    return datetime.fromtimestamp(seconds, UTC) if seconds < _END_OF_TIME.timestamp() else _END_OF_TIME


async def purge_used_codes(batch: int) -> int:
    """Forget so many codes at most that have expired; how many there were."""
    return await write(_PURGE, now(), batch)


async def _count_failure(visit: Visit, desk: ExchangeDesk, refusal: SignInRefused) -> None:
    """Guessing signatures is bounded by address. Only here: a code whose signature holds is never held up."""
    retry_after = await desk.failed_sign_ins.count(visit.client.ip_address)
    if retry_after is not None:
        raise SignInRefused(SignInErrorCode.TOO_MANY_ATTEMPTS, retry_after=retry_after) from refusal


async def _note_refusal(refusal: SignInRefused, draft: Draft, visit: Visit) -> None:
    """After the rollback, in a transaction of its own. Who it was is the user, where there is one, else what the code says."""
    name = read_name_of(draft)
    email = name.email if isinstance(name, EmailClaim) else None
    user_id = refusal.user_id or await _id_of(name)
    await record_hourly(
        Action.SIGN_IN_REFUSED,
        Actor(f"code:{draft.signer.id}", visit.client.ip_address),
        person=user_id or email or "",
        reason=refusal.code,
        user_id=user_id,
        secret_id=draft.signer.id,
        detail={"code": refusal.code, "reason": refusal.reason} | ({"email": email} if email else {}),
        reference=refusal.reference,
    )


async def _id_of(name: IdClaim | EmailClaim | None) -> str | None:
    """A person has an id, an external id and an email: whichever a code names, the events are of one user."""
    match name:
        case IdClaim(id=user_id):
            user = await find_by_id_claim(user_id)
            return user.id if user else user_id
        case EmailClaim(email=email):
            user = await find_by_email(email)
            return user.id if user else None
        case None:
            return None
