"""The outcome of a sign-in, by any method: counted in the metrics, written to the log, recorded in the audit log.

This is the only module that does so. It also counts failed guesses by address, for both methods together.

A session of an admin is recorded in the transaction that opens it. Sessions of members are folded by the hour and
written a moment later, because a page may open one at every load.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache

import structlog
from prometheus_client import Counter

from service.audit.actions import Action
from service.audit.daily_counts import Counted
from service.audit.folding import HourlyEvent, hour_of, record_hourly
from service.audit.log import Actor, record
from service.audit.pending import PendingEvents
from service.audit.refusals import SeenRefusal
from service.errors import SignInRefused
from service.folded_lines import FoldedLines
from service.metrics import SIGN_IN_REFUSALS, SIGN_INS
from service.rate_limit import FailedSignIns
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import Client, LiveSession
from service.sessions.models import SignInMethod
from service.sign_in.attempt import SignInResult

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Where the outcomes of this process are collected: what waits to be written, and which log lines are left out."""

    pending_events: PendingEvents
    folded_lines: FoldedLines


@dataclass(frozen=True, slots=True)
class ProvenPerson:
    """A person who proved who they are and is refused all the same, as the audit log names them.

    `person` is the key by which refusals of one hour are folded into one event.
    """

    actor: Actor
    person: str
    user_id: str | None
    detail: Mapping[str, object] = field(default_factory=dict)


FindPerson = Callable[[SignInRefused], Awaitable[ProvenPerson | None]]


async def _find_no_person(refusal: SignInRefused) -> None:
    """The default: the sign-in has proved nothing yet."""


@asynccontextmanager
async def record_refusal(
    method: SignInMethod, client: Client, outcomes: Outcomes, find_person: FindPerson = _find_no_person
) -> AsyncIterator[None]:
    """Record a `SignInRefused` that leaves the block, then raise it again. Use it outside the sign-in's transaction.

    `find_person` returns None if nothing was proved. Then the refusal is not recorded in the audit log, and its line in
    the log is folded, because otherwise a stranger could fill both.
    """
    try:
        yield
    except SignInRefused as refusal:
        if (person := await find_person(refusal)) is not None:
            await _audit(refusal, person)
        SIGN_IN_REFUSALS.labels(refusal.code).inc()
        outcomes.pending_events.daily_counts.add(Counted.REFUSAL, refusal.code)
        outcomes.pending_events.add_refusal(_seen(method, refusal, person, client))
        if person is not None or outcomes.folded_lines.admits(f"sign_in_refused {refusal.code}", client.ip_address):
            _log.info(
                "sign_in_refused",
                method=method,
                code=refusal.code,
                cause=refusal.cause,
                reference=refusal.reference,
                ip=client.ip_address,
            )
        raise


async def record_success(result: SignInResult, outcomes: Outcomes) -> SignInResult:
    """Count a sign-in that succeeded, and return its result. Call it after the commit.

    A continued session is no event: its opening was one.
    """
    session = result.session
    _count_of(session.method, "new" if result.new_user else "continued" if result.continued else "known").inc()
    if result.continued:
        return result
    outcomes.pending_events.daily_counts.add(Counted.SIGN_IN, session.method)
    if not session.opened_as_admin:
        hour, occurrence = hour_of(session.created_at), _occurrence_of(session)
        if not outcomes.pending_events.repeated.repeat(hour, occurrence):
            await outcomes.pending_events.add(_opened_by_member(session, occurrence))
    return result


async def record_admin_session(session: LiveSession) -> None:
    """Record a session of an admin, in the transaction that opens it. `record_success` counts those of members."""
    if session.opened_as_admin:
        await record(Action.SESSION_OPENED, _actor_of(session), user_id=session.user.id, detail=_detail_of(session))


async def count_guess(refusal: SignInRefused, client: Client, failed_sign_ins: FailedSignIns) -> SignInRefused:
    """Count a wrong signature or a wrong email code by address. Returns the refusal, or TOO_MANY_ATTEMPTS instead of it.

    A signature or an email code that is right is never counted, so it is never held up.
    """
    retry_after = await failed_sign_ins.count(client.ip_address)
    if retry_after is None:
        return refusal
    return SignInRefused(SignInErrorCode.TOO_MANY_ATTEMPTS, retry_after=retry_after)


def _seen(method: SignInMethod, refusal: SignInRefused, person: ProvenPerson | None, client: Client) -> SeenRefusal:
    email = person.detail.get("email") if person else None
    return SeenRefusal(
        refusal.reference,
        method,
        refusal.code,
        refusal.cause,
        client.ip_address,
        is_proven=person is not None,
        user_id=person.user_id if person else None,
        email=str(email) if email else None,
        secret_id=person.actor.secret_id if person else None,
    )


@cache
def _count_of(method: SignInMethod, result: str) -> Counter:
    """Return the metric of these sign-ins. Cached, because finding a labelled metric costs more than using it."""
    return SIGN_INS.labels(method, result)


def _occurrence_of(session: LiveSession) -> Hashable:
    """Return what `_opened_by_member` makes one event of. Two addresses of one network have the same event."""
    return session.user.id, session.method, session.token_transport, session.secret_id, session.ip_address


def _opened_by_member(session: LiveSession, occurrence: Hashable) -> HourlyEvent:
    return HourlyEvent(
        Action.SESSION_OPENED,
        _actor_of(session),
        person=session.user.id,
        reason=f"{session.method} {session.token_transport}",
        user_id=session.user.id,
        detail=_detail_of(session),
        created_at=session.created_at,
        occurrence=occurrence,
    )


def _actor_of(session: LiveSession) -> Actor:
    if session.secret_id:
        return Actor.of_code(session.secret_id, session.ip_address)
    return Actor.of_email(session.ip_address)


def _detail_of(session: LiveSession) -> dict[str, object]:
    return {"method": session.method, "tokenTransport": session.token_transport}


async def _audit(refusal: SignInRefused, person: ProvenPerson) -> None:
    """Runs after the rollback, in a transaction of its own."""
    await record_hourly(
        Action.SIGN_IN_REFUSED,
        person.actor,
        person=person.person,
        reason=refusal.code,
        user_id=person.user_id,
        detail={"code": refusal.code, **person.detail},
        reference=refusal.reference,
    )
