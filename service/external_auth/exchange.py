"""The exchange: a code becomes a session. The use case of contract §1, and its only transaction."""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog

from service.accounts.lookup import find_by_email, find_by_id_claim
from service.accounts.models import User
from service.accounts.provisioning import (
    Decision,
    SignIn,
    decide,
    decide_for,
    provision,
    record_ignored_profile,
    record_user_seen,
)
from service.accounts.subjects import EmailClaim, IdClaim, Subject, UserClaim
from service.audit.actions import Action
from service.audit.log import Actor, record_hourly
from service.clock import now
from service.database import Statement, transaction, write
from service.errors import BadUserInput, SignInErrorCode, SignInRefused
from service.external_auth.codes import UnverifiedCode, VerifiedClaims, claimed_subject_of, run_checks
from service.external_auth.configuration import JwtConfiguration, JwtConfigurationCache
from service.external_auth.policy import EmailLinking
from service.external_auth.policy_changes import MAX_CLOCK_SKEW
from service.metrics import SIGN_IN_REFUSALS, SIGN_INS
from service.rate_limit import FailedSignIns
from service.sessions.lifecycle import Client, LiveSession, Opening, can_continue, open_session
from service.sessions.models import SignInMethod, TokenTransport

_log = structlog.get_logger()

_USE_UP = Statement("INSERT INTO used_codes (id, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING")
_PURGE = Statement("DELETE FROM used_codes WHERE id IN (SELECT id FROM used_codes WHERE expires_at < $1 LIMIT $2)")
_END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """How a code came: from where, what carries the session it opens, and which session its request carries already."""

    client: Client
    token_transport: TokenTransport
    session: LiveSession | None = None
    session_token: str | None = None


@dataclass(frozen=True, slots=True)
class SignInResult:
    """Somebody is signed in."""

    token: str
    session: LiveSession
    new_user: bool
    continued: bool


@dataclass(frozen=True, slots=True)
class ExchangeDependencies:
    """What every exchange of this process shares. Lifetimes are in seconds."""

    configuration_cache: JwtConfigurationCache
    failed_sign_ins: FailedSignIns
    session_lifetime: int


async def exchange(
    code: str, attempt: SignInAttempt, dependencies: ExchangeDependencies, *, lifetime: int | None = None
) -> SignInResult:
    """Sign in whom the code speaks of, for `lifetime` seconds or less; raises `SignInRefused`.

    By a known user it costs two reads and one write. A refused code leaves nothing behind, save that the audit log
    counts the refusals of genuine ones.
    """
    if lifetime is not None and lifetime < 1:
        raise BadUserInput("`lifetimeSeconds` must be 1 or more.")
    try:
        result = await _exchange(
            code, attempt, dependencies, min(lifetime or dependencies.session_lifetime, dependencies.session_lifetime)
        )
    except SignInRefused as refusal:
        SIGN_IN_REFUSALS.labels(refusal.code).inc()
        _log.info(
            "sign_in_refused",
            method=SignInMethod.EXTERNAL_JWT,
            code=refusal.code,
            cause=refusal.cause,
            reference=refusal.reference,
            ip=attempt.client.ip_address,
        )
        raise
    SIGN_INS.labels(
        SignInMethod.EXTERNAL_JWT, "new" if result.new_user else "continued" if result.continued else "known"
    ).inc()
    return result


async def _exchange(
    code: str, attempt: SignInAttempt, dependencies: ExchangeDependencies, lifetime: int
) -> SignInResult:
    configuration = await dependencies.configuration_cache.current()
    if not configuration.enabled:
        raise SignInRefused(SignInErrorCode.EXTERNAL_AUTH_DISABLED)
    unverified = UnverifiedCode(code, configuration.secrets, configuration.policy, now().timestamp())
    try:
        return await _sign_in(run_checks(unverified), attempt, configuration, lifetime)
    except SignInRefused as refusal:
        if unverified.is_genuine:
            await _record_refusal(refusal, unverified, attempt)
        elif refusal.code is SignInErrorCode.INVALID_SIGNATURE:
            await _count_failure(attempt, dependencies, refusal)
        raise


async def _sign_in(
    claims: VerifiedClaims, attempt: SignInAttempt, configuration: JwtConfiguration, lifetime: int
) -> SignInResult:
    by = Actor(f"code:{claims.secret_id}", attempt.client.ip_address)
    linking = configuration.policy.email_linking is EmailLinking.LINK
    decision = await _decide(claims.subject, attempt.session, linking)
    known = decision if isinstance(decision, SignIn) and not decision.changes_user else None
    until = _session_end(claims, configuration, lifetime)
    if known and not configuration.policy.single_use:
        result = await _open_or_continue(known.user, False, claims, attempt, configuration, until)
    else:
        async with transaction():
            if configuration.policy.single_use:
                await _use_up(claims)
            user, is_new = (
                (known.user, False) if known else await provision(claims.subject, link_by_email=linking, by=by)
            )
            result = await _open_or_continue(user, is_new, claims, attempt, configuration, until)
    if known:
        await record_ignored_profile(known, by)
    await record_user_seen(result.session.user)
    await configuration.record_secret_used(claims.secret_id)
    return result


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
    user: User,
    is_new: bool,
    claims: VerifiedClaims,
    attempt: SignInAttempt,
    configuration: JwtConfiguration,
    until: datetime,
) -> SignInResult:
    if (
        attempt.session
        and attempt.session_token
        and can_continue(attempt.session, user, attempt.token_transport, until)
    ):
        session = replace(attempt.session, user=user)  # as the code has just brought it up to date
        return SignInResult(attempt.session_token, session, new_user=False, continued=True)
    opening = Opening(
        SignInMethod.EXTERNAL_JWT,
        attempt.token_transport,
        attempt.client,
        configuration.session_epoch,
        claims.secret_id,
    )
    opened = await open_session(user, opening, until)
    return SignInResult(opened.token, opened.session, new_user=is_new, continued=False)


def _session_end(claims: VerifiedClaims, configuration: JwtConfiguration, lifetime: int) -> datetime:
    """When a session that opens now ends: with its lifetime, or with the code where the policy says so.

    A code that is let in within the grace after its `exp` opens a session until the end of that grace.
    """
    moment = now()
    end = moment + timedelta(seconds=lifetime)
    if configuration.policy.session_ends_with_code and claims.expires_at is not None:
        past = claims.expires_at <= moment.timestamp()
        end = min(end, _moment(claims.expires_at + (configuration.policy.clock_skew_seconds if past else 0)))
    return end


async def _use_up(claims: VerifiedClaims) -> None:
    """Remember the code. In the transaction: a code that is refused later is not used up.

    It is remembered for as long as any policy would accept it: the grace may be made longer meanwhile.
    """
    assert claims.jti is not None and claims.expires_at is not None, "the policy check asks for both"
    forgotten_at = _moment(claims.expires_at + MAX_CLOCK_SKEW)
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


async def _count_failure(attempt: SignInAttempt, dependencies: ExchangeDependencies, refusal: SignInRefused) -> None:
    """Guessing signatures is bounded by address. Only here: a code whose signature holds is never held up."""
    retry_after = await dependencies.failed_sign_ins.count(attempt.client.ip_address)
    if retry_after is not None:
        raise SignInRefused(SignInErrorCode.TOO_MANY_ATTEMPTS, retry_after=retry_after) from refusal


async def _record_refusal(refusal: SignInRefused, unverified: UnverifiedCode, attempt: SignInAttempt) -> None:
    """After the rollback, in a transaction of its own. Who it was is the user, where there is one, else what the code says."""
    name = claimed_subject_of(unverified)
    email = name.email if isinstance(name, EmailClaim) else None
    user_id = refusal.user_id or await _id_of(name)
    await record_hourly(
        Action.SIGN_IN_REFUSED,
        Actor(f"code:{unverified.signer.id}", attempt.client.ip_address),
        person=user_id or email or "",
        reason=refusal.code,
        user_id=user_id,
        secret_id=unverified.signer.id,
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
