"""Stores sessions that open: one, or many of different users in one statement.

SQL by hand: every request (a sign-in opens a session), and atomic (a user's number of sessions is bounded).
"""

from collections.abc import Sequence

from service.database import Statement, fetch_indexed, write

_COLUMNS = (
    "id, user_serial, user_epoch, method, method_epoch, email_epoch, code_epoch,"
    " opened_as_admin, carrier, secret_id, token_hash, created_at, expires_at, last_seen_at, ip_address, user_agent,"
    " idle_until"
)
_OPEN = Statement(
    f"INSERT INTO sessions ({_COLUMNS})"
    " SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17"
    " WHERE NOT EXISTS (SELECT 1 FROM sessions WHERE user_serial = $2 ORDER BY id DESC LIMIT 1 OFFSET $18)"
)
# The same for many sessions, of different users. PostgreSQL only.
_OPEN_MANY = Statement(
    f"INSERT INTO sessions ({_COLUMNS})"
    " SELECT i.* FROM unnest("
    "$1::text[], $2::bigint[], $3::int[], $4::text[], $5::int[], $6::int[], $7::int[], $8::boolean[], $9::text[], $10::text[],"
    " $11::text[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::text[], $16::text[],"
    " $17::timestamptz[]"
    f") AS i ({_COLUMNS})"
    " WHERE NOT EXISTS"
    " (SELECT 1 FROM sessions s WHERE s.user_serial = i.user_serial ORDER BY s.id DESC LIMIT 1 OFFSET $18)"
    " RETURNING id"
)


async def insert_session(values: Sequence[object], sessions_per_user: int) -> bool:
    """Store the session, whose values are in the order of `_COLUMNS`. Returns false, with nothing
    stored, if the user has `sessions_per_user` rows already.
    """
    return bool(await write(_OPEN, *values, sessions_per_user - 1))


async def insert_sessions(sessions: Sequence[Sequence[object]], sessions_per_user: int) -> set[str]:
    """Store the sessions in one statement, and return the IDs of those that are stored. PostgreSQL only.

    Each session must be of another user, because the statement does not see the rows that it adds.
    """
    columns = [list(column) for column in zip(*sessions, strict=True)]
    return {row["id"] for row in await fetch_indexed(_OPEN_MANY, *columns, sessions_per_user - 1)}
