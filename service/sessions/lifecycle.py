"""Opens, finds, continues and ends sessions.

SQL by hand: every request (finding, opening, noting use), atomic (ending sessions by an epoch or a cut-off), and
beyond the ORM (counting, with the same condition for "live").
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.accounts.lookup import user_from_row
from service.accounts.models import User, UserRole
from service.clock import now
from service.database import SAFETY_MARGIN, Row, Statement, as_time, fetch, fetch_one, purge_expired, set_mark, write
from service.ids import new_id
from service.sessions.inserting import insert_session
from service.sessions.models import SignInMethod, TokenTransport
from service.settings import DEFAULT_SESSIONS_PER_USER
from service.tokens import SESSION_PREFIX, hash_token, new_token

NOTED_EVERY = timedelta(minutes=5)

# A session is live if it has not expired, was not idle for too long, its user is active, and no end of all sessions of its user, its method or its
# secret came after its opening.
# A session that was opened by email also ends when its user gets another email, one that was opened by a code when the
# user's codes are revoked.
LIVE = (
    "s.expires_at > $1 AND (s.idle_until IS NULL OR s.idle_until > $1)"
    " AND u.status = 'ACTIVE' AND (u.access_until IS NULL OR u.access_until > $1) AND u.session_epoch = s.user_epoch"
    " AND (s.method <> 'EMAIL' OR u.email_epoch = s.email_epoch)"
    " AND (s.method <> 'EXTERNAL_JWT' OR u.code_epoch = s.code_epoch)"
    " AND NOT EXISTS (SELECT 1 FROM session_cutoffs c WHERE (c.scope = s.method AND c.epoch > s.method_epoch) OR c.scope = s.secret_id)"
)
# What `LiveSession.has_admin_rights` says, as a condition.
ADMIN_RIGHTS = "(s.opened_as_admin AND u.role = 'ADMIN' AND s.method = 'EMAIL' AND s.carrier <> 'COOKIE')"
SESSION_COLUMNS = (
    "s.id AS session_id, s.method, s.opened_as_admin, s.carrier, s.secret_id, s.created_at AS session_created_at, s.expires_at,"
    " s.last_seen_at AS session_last_seen_at, s.proven_at, s.idle_until, s.ip_address, s.user_agent"
)
_FIND = Statement(
    f"SELECT {SESSION_COLUMNS}, u.* FROM sessions s JOIN users u ON u.serial = s.user_serial WHERE s.token_hash = $2 AND {LIVE}"
)
# Ends the oldest live sessions of a user beyond the newest $3, and deletes the rows of those that had ended.
_MAKE_ROOM = Statement(
    "DELETE FROM sessions WHERE user_serial = $2 AND id NOT IN ("
    "SELECT s.id FROM sessions s JOIN users u ON u.serial = s.user_serial"
    f" WHERE s.user_serial = $2 AND {LIVE} ORDER BY s.id DESC LIMIT $3)"
)
_SEEN = Statement("UPDATE sessions SET last_seen_at = $1, idle_until = $3 WHERE id = $2 AND last_seen_at < $1")
_PROVEN = Statement("UPDATE sessions SET proven_at = $1 WHERE id = $2")
_END = Statement("DELETE FROM sessions WHERE id = $1")
_END_ALL_OF_USER = Statement("UPDATE users SET session_epoch = session_epoch + 1 WHERE serial = $1")
_COUNT_OF_USER = Statement(
    f"SELECT COUNT(*) AS live FROM sessions s JOIN users u ON u.serial = s.user_serial WHERE u.serial = $2 AND {LIVE}"
)
_CUT_OFF = Statement(
    "INSERT INTO session_cutoffs (scope, epoch) VALUES ($1, $2) ON CONFLICT (scope) DO UPDATE SET epoch = excluded.epoch"
)

# Plain dicts: about ten times faster than `SignInMethod(value)` on this hot path.
_METHODS = {member.value: member for member in SignInMethod}
_TRANSPORTS = {member.value: member for member in TokenTransport}


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A live session and its user."""

    id: str
    user: User
    method: SignInMethod
    token_transport: TokenTransport
    opened_as_admin: bool
    secret_id: str | None
    created_at: datetime
    expires_at: datetime
    last_seen_at: datetime
    ip_address: str | None
    user_agent: str | None
    idle_until: datetime | None = None
    """When the session ends if no request uses it. None if it has no idle end."""
    proven_at: datetime | None = None
    """When the user gave an email code again in this session. None if it was not since the session opened."""

    @property
    def last_proof_at(self) -> datetime:
        """When the user last proved who it is: by signing in, or by another email code since then."""
        return self.proven_at or self.created_at

    @property
    def has_admin_rights(self) -> bool:
        """Whether the session gives admin rights (contract §3): it opened with them, and its user is an ADMIN now."""
        return (
            self.opened_as_admin
            and self.user.role is UserRole.ADMIN
            and may_give_admin_rights(self.method, self.token_transport)
        )


def may_give_admin_rights(method: SignInMethod, token_transport: TokenTransport) -> bool:
    """Whether a session of an admin has admin rights: signed in by email, and not in the member cookie."""
    return method is SignInMethod.EMAIL and token_transport is not TokenTransport.COOKIE


@dataclass(frozen=True, slots=True)
class Client:
    """The IP address and the user agent of a request, each None if unknown."""

    ip_address: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """How a session opens: the method and its epoch, the secret that signed the code, and the token transport."""

    method: SignInMethod
    token_transport: TokenTransport
    client: Client
    method_epoch: int = 0
    secret_id: str | None = None
    sessions_per_user: int = DEFAULT_SESSIONS_PER_USER
    idle_timeout: timedelta | None = None


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session and its token. Only the token's hash is stored, so this value is the only copy."""

    token: str
    session: LiveSession


@dataclass(frozen=True, slots=True)
class PreparedSession:
    """A session that is not stored yet, and the values of its row."""

    opened: OpenedSession
    values: tuple[object, ...]


async def open_session(user: User, opening: Opening, expires_at: datetime) -> OpenedSession:
    """Open a session that ends at `expires_at`, which never changes. One insert, inside or outside a transaction.

    A user who has `sessions_per_user` live sessions loses the oldest one, which costs two more statements.

    Needs no lock on the user: the session stores the epoch of `user` as it was read, so that a deactivation or an end
    of all sessions at the same time ends this session too.
    """
    prepared = prepare_session(user, opening, expires_at)
    # The insert does nothing where the user has too many rows, because counting them first would be one more read.
    while not await insert_session(prepared.values, opening.sessions_per_user):
        moment = prepared.opened.session.created_at
        await write(_MAKE_ROOM, moment, user.serial, opening.sessions_per_user - 1)
    return prepared.opened


def prepare_session(user: User, opening: Opening, expires_at: datetime) -> PreparedSession:
    """Return a session with a new token, to be stored by `insert_session` or `insert_sessions`, which name the values."""
    token, moment = new_token(SESSION_PREFIX), now()
    client = opening.client
    session = LiveSession(
        id=new_id(),
        user=user,
        method=opening.method,
        token_transport=opening.token_transport,
        opened_as_admin=user.role is UserRole.ADMIN,
        secret_id=opening.secret_id,
        created_at=moment,
        expires_at=expires_at,
        last_seen_at=moment,
        ip_address=client.ip_address,
        user_agent=client.user_agent[:256] if client.user_agent else None,
        idle_until=moment + opening.idle_timeout if opening.idle_timeout else None,
    )
    values = (
        session.id,
        user.serial,
        user.session_epoch,
        session.method,
        opening.method_epoch,
        user.email_epoch,
        user.code_epoch,
        session.opened_as_admin,
        session.token_transport,
        session.secret_id,
        hash_token(token),
        moment,
        expires_at,
        moment,
        session.ip_address,
        session.user_agent,
        session.idle_until,
    )
    return PreparedSession(OpenedSession(token, session), values)


async def find_session(token: str) -> LiveSession | None:
    """Return the live session of this token with its user, in one read.

    None if the token belongs to no live session.
    """
    if not token.startswith(SESSION_PREFIX):
        return None
    row = await fetch_one(_FIND, now(), hash_token(token))
    return None if row is None else session_from_row(row, user_from_row(row))


def session_from_row(row: Row, user: User) -> LiveSession:
    """Build a session from a row that has `SESSION_COLUMNS`."""
    return LiveSession(
        id=row["session_id"],
        user=user,
        method=_METHODS[row["method"]],
        token_transport=_TRANSPORTS[row["carrier"]],
        opened_as_admin=bool(row["opened_as_admin"]),
        secret_id=row["secret_id"],
        created_at=as_time(row["session_created_at"]),
        expires_at=as_time(row["expires_at"]),
        last_seen_at=as_time(row["session_last_seen_at"]),
        ip_address=row["ip_address"],
        user_agent=row["user_agent"],
        idle_until=None if row["idle_until"] is None else as_time(row["idle_until"]),
        proven_at=None if row["proven_at"] is None else as_time(row["proven_at"]),
    )


def can_continue(session: LiveSession, user: User, token_transport: TokenTransport, until: datetime) -> bool:
    """Whether an exchange continues this session instead of opening another (contract §3).

    True if the session has the same user and token transport, was opened by a code, has at least half of its lifetime
    left, and does not end after `until` (which is earlier if the caller asked for a shorter session).
    """
    moment = now()
    return (
        session.user.serial == user.serial
        and session.method is SignInMethod.EXTERNAL_JWT
        and session.token_transport is token_transport
        and session.expires_at - moment >= (session.expires_at - session.created_at) / 2
        and session.expires_at <= until
    )


async def record_session_seen(session: LiveSession) -> None:
    """Update `last_seen_at` and the idle end soon, at most once in 5 minutes, so that most requests write nothing.

    So an idle end comes up to 5 minutes early. It keeps the distance that it had when the session opened.
    """
    moment = now()
    if moment - session.last_seen_at >= NOTED_EVERY:
        idle_until = None if session.idle_until is None else moment + (session.idle_until - session.last_seen_at)
        await set_mark(_SEEN, session.id, moment, session.id, idle_until)


async def record_proof(session: LiveSession) -> LiveSession:
    """Record that the user has proved again who it is, and return the session with this proof."""
    moment = now()
    await write(_PROVEN, moment, session.id)
    return replace(session, proven_at=moment)


async def end_session(session_id: str) -> bool:
    """End one session, from the next request on in every process. Returns false if its row was gone already."""
    return await write(_END, session_id) > 0


async def count_live_sessions(user: User) -> int:
    """Return how many live sessions the user has."""
    return int((await fetch(_COUNT_OF_USER, now(), user.serial))[0]["live"])


async def end_sessions_of_user(user: User) -> None:
    """End every session of the user, and any that is being opened at the same time.

    One update, however many there are.
    """
    await write(_END_ALL_OF_USER, user.serial)


async def end_sessions_of_secret(secret_id: str) -> None:
    """End every session that codes of this secret opened, and any that they are opening at the same time."""
    await write(_CUT_OFF, secret_id, 1)


async def end_sessions_of_method(method: SignInMethod, epoch: int) -> None:
    """End every session of the method that was opened under an older epoch."""
    await write(_CUT_OFF, method, epoch)


async def purge_expired_sessions(batch: int) -> int:
    """Delete at most `batch` sessions that expired a day ago, and return how many were deleted."""
    return await purge_expired("sessions", "id", "expires_at", batch, kept_for=SAFETY_MARGIN)
