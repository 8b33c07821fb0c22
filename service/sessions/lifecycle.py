"""Sessions: opening, finding, continuing and ending them. Whose token is this? is the hot read of every request."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from service.accounts.lookup import user_from_row
from service.accounts.models import User, UserRole
from service.clock import now
from service.database import Row, Statement, as_time, fetch, fetch_one, write
from service.ids import new_id
from service.sessions.models import SignInMethod, TokenTransport
from service.tokens import SESSION_PREFIX, hash_token, new_token

NOTED_EVERY = timedelta(minutes=5)

# Live: not expired, its user active, and neither its user, its method nor its secret ended since it opened.
LIVE = (
    "s.expires_at > $1 AND u.status = 'ACTIVE' AND u.session_epoch = s.user_epoch"
    " AND NOT EXISTS (SELECT 1 FROM session_cutoffs c WHERE (c.scope = s.method AND c.epoch > s.method_epoch) OR c.scope = s.secret_id)"
)
SESSION_COLUMNS = (
    "s.id AS session_id, s.method, s.carrier, s.secret_id, s.created_at AS session_created_at, s.expires_at,"
    " s.last_seen_at AS session_last_seen_at, s.ip_address, s.user_agent"
)
_FIND = Statement(
    f"SELECT {SESSION_COLUMNS}, u.* FROM sessions s JOIN users u ON u.serial = s.user_serial WHERE s.token_hash = $2 AND {LIVE}"
)
_OPEN = Statement(
    "INSERT INTO sessions (id, user_serial, user_epoch, method, method_epoch, carrier, secret_id, token_hash,"
    " created_at, expires_at, last_seen_at, ip_address, user_agent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $9, $11, $12)"
)
_SEEN = Statement("UPDATE sessions SET last_seen_at = $1 WHERE id = $2 AND last_seen_at < $1")
_END = Statement("DELETE FROM sessions WHERE id = $1")
_END_ALL_OF_USER = Statement("UPDATE users SET session_epoch = session_epoch + 1 WHERE serial = $1")
_COUNT_OF_USER = Statement(
    f"SELECT COUNT(*) AS live FROM sessions s JOIN users u ON u.serial = s.user_serial WHERE u.serial = $2 AND {LIVE}"
)
_CUT_OFF = Statement(
    "INSERT INTO session_cutoffs (scope, epoch) VALUES ($1, $2) ON CONFLICT (scope) DO UPDATE SET epoch = excluded.epoch"
)
_PURGE = Statement(
    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)"
)

# By value: for a tenth of what asking the enum costs.
_METHODS = {member.value: member for member in SignInMethod}
_TRANSPORTS = {member.value: member for member in TokenTransport}


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that is live, and whose it is."""

    id: str
    user: User
    method: SignInMethod
    token_transport: TokenTransport
    secret_id: str | None
    created_at: datetime
    expires_at: datetime
    last_seen_at: datetime
    ip_address: str | None
    user_agent: str | None

    @property
    def has_admin_rights(self) -> bool:
        """An admin who signed in by email, on anything but the members' cookie (contract §3)."""
        return (
            self.user.role is UserRole.ADMIN
            and self.method is SignInMethod.EMAIL
            and self.token_transport is not TokenTransport.COOKIE
        )


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from, as far as it tells."""

    ip_address: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """How a session opens: by which method, which of its epochs, which secret's code; and what carries its token."""

    method: SignInMethod
    token_transport: TokenTransport
    client: Client
    method_epoch: int = 0
    secret_id: str | None = None


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session and its token, which nobody can read again."""

    token: str
    session: LiveSession


async def open_session(user: User, opening: Opening, expires_at: datetime) -> OpenedSession:
    """A new session until `expires_at`, which is fixed from here on. One insert, in or out of a transaction."""
    token, moment = new_token(SESSION_PREFIX), now()
    client = opening.client
    session = LiveSession(
        id=new_id(),
        user=user,
        method=opening.method,
        token_transport=opening.token_transport,
        secret_id=opening.secret_id,
        created_at=moment,
        expires_at=expires_at,
        last_seen_at=moment,
        ip_address=client.ip_address,
        user_agent=client.user_agent[:256] if client.user_agent else None,
    )
    await write(
        _OPEN,
        session.id,
        user.serial,
        user.session_epoch,
        session.method,
        opening.method_epoch,
        session.token_transport,
        session.secret_id,
        hash_token(token),
        moment,
        expires_at,
        session.ip_address,
        session.user_agent,
    )
    return OpenedSession(token, session)


async def find_session(token: str) -> LiveSession | None:
    """The live session of this token, and its user, in one read; None for a token that is nobody's."""
    if not token.startswith(SESSION_PREFIX):
        return None
    row = await fetch_one(_FIND, now(), hash_token(token))
    return None if row is None else session_from_row(row, user_from_row(row))


def session_from_row(row: Row, user: User) -> LiveSession:
    """A session from a row with the session columns."""
    return LiveSession(
        id=row["session_id"],
        user=user,
        method=_METHODS[row["method"]],
        token_transport=_TRANSPORTS[row["carrier"]],
        secret_id=row["secret_id"],
        created_at=as_time(row["session_created_at"]),
        expires_at=as_time(row["expires_at"]),
        last_seen_at=as_time(row["session_last_seen_at"]),
        ip_address=row["ip_address"],
        user_agent=row["user_agent"],
    )


def can_continue(session: LiveSession, user: User, token_transport: TokenTransport, until: datetime) -> bool:
    """Whether a code exchange continues this session rather than open another (contract §3).

    It does for the same user, opened by a code, come the same way, with half its life or more to go; and only where
    the session does not outlast `until`, which a shorter session that was asked for would.
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
    """Note that the session was used: to 5 minutes, so that reading costs no write."""
    moment = now()
    if moment - session.last_seen_at >= NOTED_EVERY:
        await write(_SEEN, moment, session.id)


async def end_session(session_id: str) -> bool:
    """End one session for the next request everywhere; whether the row was still there."""
    return await write(_END, session_id) > 0


async def count_live_sessions(user: User) -> int:
    """How many live sessions the user has."""
    return int((await fetch(_COUNT_OF_USER, now(), user.serial))[0]["live"])


async def end_sessions_of_user(user: User) -> None:
    """End every session of the user, also one that is just being opened: by its epoch, so at the same cost for any number."""
    await write(_END_ALL_OF_USER, user.serial)


async def end_sessions_of_secret(secret_id: str) -> None:
    """End every session that this secret's codes opened, or are just opening."""
    await write(_CUT_OFF, secret_id, 1)


async def end_sessions_of_method(method: SignInMethod, epoch: int) -> None:
    """End every session of the method that was opened under an older epoch."""
    await write(_CUT_OFF, method, epoch)


async def purge_expired_sessions(batch: int) -> int:
    """Delete so many expired sessions at most; how many there were. Short, so that nobody waits for it."""
    return await write(_PURGE, now(), batch)
