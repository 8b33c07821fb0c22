"""The exchange of a code for a session (contract §1).

In this order: check the code, decide who signs in, then open or continue the session, in a transaction where anything
else changes with it. A refusal on the way is recorded by `sign_in.outcome`.
"""

import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from service.accounts.code_cutoffs import SubjectHashes
from service.accounts.models import User, UserRole
from service.accounts.provisioning import (
    CodeTerms,
    Create,
    Decision,
    Link,
    SignIn,
    decide,
    decide_for,
    provision,
    record_ignored_profile,
    record_user_seen,
)
from service.accounts.refusals import Refuse
from service.accounts.subjects import EmailClaim, IdClaim, Subject, UserClaim
from service.audit.log import Actor
from service.clock import now
from service.database import short_transaction
from service.errors import BadUserInput, SignInRefused
from service.external_auth.codes import UnverifiedCode, VerifiedClaims, run_checks
from service.external_auth.configuration import JwtConfiguration, JwtConfigurationCache, code_terms
from service.external_auth.known_users import Candidate, KnownUsers
from service.external_auth.refused_person import find_refused_person
from service.external_auth.used_codes import as_date, use_up_code
from service.metrics import EXCHANGE_SECONDS
from service.rate_limit import FailedSignIns
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import Opening, can_continue, open_session
from service.sessions.models import SignInMethod
from service.sign_in.attempt import Confirmation, ConfirmationNeeded, Person, SignInAttempt, SignInResult
from service.sign_in.outcome import (
    Outcomes,
    count_guess,
    record_admin_session,
    record_refusal,
    record_success,
)
from service.tracing import span

_ACCEPTED, _REFUSED = EXCHANGE_SECONDS.labels("accepted"), EXCHANGE_SECONDS.labels("refused")


@dataclass(frozen=True, slots=True)
class ExchangeDependencies:
    """What every exchange of this process shares. `session_lifetime` is in seconds."""

    configuration_cache: JwtConfigurationCache
    subject_hashes: SubjectHashes
    known_users: KnownUsers
    failed_sign_ins: FailedSignIns
    outcomes: Outcomes
    session_lifetime: int
    sessions_per_user: int


@dataclass(frozen=True, slots=True)
class _VerifiedExchange:
    """An exchange whose code has passed every check: what the code says, and what decides about the session."""

    claims: VerifiedClaims
    attempt: SignInAttempt
    configuration: JwtConfiguration
    dependencies: ExchangeDependencies
    lifetime: int | None
    """The longest lifetime of the session that the client asks for, in seconds."""

    @property
    def actor(self) -> Actor:
        return Actor.of_code(self.claims.secret_id, self.attempt.client.ip_address)

    @property
    def terms(self) -> CodeTerms:
        return code_terms(self.claims.issued_at, self.configuration.policy, self.dependencies.subject_hashes)

    @property
    def opening(self) -> Opening:
        return Opening(
            SignInMethod.EXTERNAL_JWT,
            self.attempt.token_transport,
            self.attempt.client,
            self.configuration.session_epoch,
            self.claims.secret_id,
            self.dependencies.sessions_per_user,
        )

    def session_end(self) -> datetime:
        """Return when a session that opens now ends: after the lifetime, or with the code if the policy says so.

        A code that is accepted within the clock skew after its `exp` opens a session until the end of that clock skew.
        """
        claims, policy, moment = self.claims, self.configuration.policy, now()
        maximum = self.dependencies.session_lifetime
        end = moment + timedelta(seconds=min(self.lifetime or maximum, maximum))
        if policy.session_ends_with_code and claims.expires_at is not None:
            past = claims.expires_at <= moment.timestamp()
            end = min(end, as_date(claims.expires_at + (policy.clock_skew_seconds if past else 0)))
        return end


async def exchange(
    code: str, attempt: SignInAttempt, dependencies: ExchangeDependencies, *, lifetime: int | None = None
) -> SignInResult:
    """Sign in the user whom the code names, for at most `lifetime` seconds.

    Raises `SignInRefused`, or `BadUserInput` for a lifetime under 1. For a known user whom the code does not change it
    costs one read and one write. A refused code changes nothing, except that the audit log counts refusals of codes
    whose signature is right. Raises `ConfirmationNeeded` where the attempt says that the person is asked first.
    """
    if lifetime is not None and lifetime < 1:
        raise BadUserInput("`lifetimeSeconds` must be 1 or more.")
    started = time.perf_counter()
    try:
        with span("exchange"):
            result = await _exchange(code, attempt, dependencies, lifetime)
    except SignInRefused:
        _REFUSED.observe(time.perf_counter() - started)
        raise
    _ACCEPTED.observe(time.perf_counter() - started)
    return result


async def _exchange(
    code: str, attempt: SignInAttempt, dependencies: ExchangeDependencies, lifetime: int | None
) -> SignInResult:
    if (known := await _sign_in_known_user(code, attempt, dependencies, lifetime)) is not None:
        return await record_success(known, dependencies.outcomes)
    configuration, unverified = await _read(code, dependencies)
    find_person = partial(find_refused_person, unverified, attempt)
    async with record_refusal(SignInMethod.EXTERNAL_JWT, attempt.client, dependencies.outcomes, find_person):
        claims = await _check(unverified, configuration, attempt, dependencies.failed_sign_ins)
        result = await _sign_in(_VerifiedExchange(claims, attempt, configuration, dependencies, lifetime))
    return await record_success(result, dependencies.outcomes)


async def _sign_in_known_user(
    code: str, attempt: SignInAttempt, dependencies: ExchangeDependencies, lifetime: int | None
) -> SignInResult | None:
    """Sign in by the fast path (`known_users.py`). None, with nothing written, if the full path must decide."""
    configuration = dependencies.configuration_cache.known()
    if not KnownUsers.enabled or configuration is None or not _is_usual(configuration, attempt):
        return None
    try:
        claims = run_checks(configuration.unverified(code))
    except SignInRefused:
        return None
    verified = _VerifiedExchange(claims, attempt, configuration, dependencies, lifetime)
    candidate = Candidate(
        claims.subject, verified.terms, configuration.version, verified.opening, verified.session_end()
    )
    opened = await dependencies.known_users.open_session(candidate)
    if opened is None:
        return None
    await record_user_seen(opened.session.user)
    await configuration.record_secret_used(claims.secret_id)
    return SignInResult(opened.token, opened.session)


def _is_usual(configuration: JwtConfiguration, attempt: SignInAttempt) -> bool:
    """Whether a sign-in may write nothing but a new session."""
    return (
        configuration.enabled
        and not configuration.policy.single_use
        and attempt.session is None
        and attempt.confirmation is Confirmation.NONE
    )


async def verify_only(code: str, attempt: SignInAttempt, dependencies: ExchangeDependencies) -> None:
    """Run the checks of a code without signing in. Raises `SignInRefused`, which is recorded as for an exchange."""
    configuration, unverified = await _read(code, dependencies)
    find_person = partial(find_refused_person, unverified, attempt)
    async with record_refusal(SignInMethod.EXTERNAL_JWT, attempt.client, dependencies.outcomes, find_person):
        await _check(unverified, configuration, attempt, dependencies.failed_sign_ins)


async def _read(code: str, dependencies: ExchangeDependencies) -> tuple[JwtConfiguration, UnverifiedCode]:
    configuration = await dependencies.configuration_cache.current()
    return configuration, configuration.unverified(code)


async def _check(
    unverified: UnverifiedCode,
    configuration: JwtConfiguration,
    attempt: SignInAttempt,
    failed_sign_ins: FailedSignIns,
) -> VerifiedClaims:
    if not configuration.enabled:
        raise SignInRefused(SignInErrorCode.EXTERNAL_AUTH_DISABLED)
    try:
        return run_checks(unverified)
    except SignInRefused as refusal:
        if refusal.code is SignInErrorCode.INVALID_SIGNATURE:
            raise await count_guess(refusal, attempt.client, failed_sign_ins) from None
        raise


async def _sign_in(verified: _VerifiedExchange) -> SignInResult:
    """Decide who signs in, and open or continue the session.

    A known member whom the code does not change needs no transaction: the session's row is the only write. A session of
    an admin is recorded in the audit log in the same transaction. A concurrent deactivation or revocation is harmless,
    because the row holds the epochs that were read before, and `find_session` accepts a session only while its epochs
    are the current ones (see `end_sessions_of_user`).
    """
    decision = await _decide(verified)
    _ask_first(decision, verified.attempt)
    known = decision if isinstance(decision, SignIn) and not decision.changes_user else None
    if known and known.user.role is not UserRole.ADMIN and not verified.configuration.policy.single_use:
        result = await _open_or_continue(verified, known.user)
    else:
        result = await short_transaction(partial(_change_and_open, verified, known))
    if known:
        await record_ignored_profile(known, verified.actor)
    await record_user_seen(result.session.user)
    await verified.configuration.record_secret_used(verified.claims.secret_id)
    return result


async def _decide(verified: _VerifiedExchange) -> Decision:
    """Decide what the code means now; a request that has a session of the same user saves reading the user again.

    The session proves the same user only by external ID or verified email. Any other ID is looked up, because it may be the
    external ID of another user.
    """
    user = verified.attempt.session.user if verified.attempt.session else None
    subject: Subject = verified.claims.subject
    match subject:
        case UserClaim(id=user_id) | IdClaim(id=user_id) if user is not None and user_id == user.external_id:
            return await decide_for(user, subject, verified.terms)
        case EmailClaim(email=email) if user is not None and email == user.email:
            return await decide_for(user, subject, verified.terms)
        case _:
            return await decide(subject, verified.terms)


def _ask_first(decision: Decision, attempt: SignInAttempt) -> None:
    """Raise `ConfirmationNeeded` before anything changes, if the attempt says so and the code would sign in a user."""
    if attempt.confirmation is Confirmation.NONE or isinstance(decision, Refuse):
        return
    person = _person_of(decision)
    before = attempt.session.user if attempt.session else None
    replaced = None if before is None or before.id == person.id else Person(before.id, before.shown_email)
    if replaced is not None or attempt.confirmation is Confirmation.ALWAYS:
        raise ConfirmationNeeded(person, replaced)


def _person_of(decision: SignIn | Link | Create) -> Person:
    if isinstance(decision, Create):
        return Person(decision.claim.id, decision.claim.email)
    return Person(decision.user.id, decision.user.shown_email)


async def _change_and_open(verified: _VerifiedExchange, known: SignIn | None) -> SignInResult:
    """In the caller's transaction: use up a single-use code, create or update the user, open the session."""
    if verified.configuration.policy.single_use:
        await use_up_code(verified.claims)
    if known:
        return await _open_or_continue(verified, known.user)
    user, is_new = await provision(verified.claims.subject, verified.terms, verified.actor)
    return await _open_or_continue(verified, user, is_new=is_new)


async def _open_or_continue(verified: _VerifiedExchange, user: User, *, is_new: bool = False) -> SignInResult:
    attempt, session_end = verified.attempt, verified.session_end()
    if (
        attempt.session
        and attempt.session_token
        and can_continue(attempt.session, user, attempt.token_transport, session_end)
    ):
        session = replace(attempt.session, user=user)  # the code may have changed the user since the session was read
        return SignInResult(attempt.session_token, session, continued=True)
    opened = await open_session(user, verified.opening, session_end)
    await record_admin_session(opened.session)
    return SignInResult(opened.token, opened.session, new_user=is_new)
