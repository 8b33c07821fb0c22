"""Stores sessions that open: one, or many of different users in one statement.

SQL by hand: every request (a sign-in opens a session), and atomic (a user's number of sessions is bounded).
"""

from collections.abc import Sequence

from service.database import Statement, fetch_indexed, write

# The columns of a session that opens, in the order of their values, with their types on PostgreSQL.
_OPENING_COLUMNS = {
    "id": "text",
    "user_serial": "bigint",
    "user_epoch": "int",
    "method": "text",
    "method_epoch": "int",
    "email_epoch": "int",
    "code_epoch": "int",
    "opened_as_admin": "boolean",
    "carrier": "text",
    "secret_id": "text",
    "token_hash": "text",
    "created_at": "timestamptz",
    "expires_at": "timestamptz",
    "last_seen_at": "timestamptz",
    "ip_address": "text",
    "user_agent": "text",
}
_INTO = f"INSERT INTO sessions ({', '.join(_OPENING_COLUMNS)}) "
_HAS_ROOM = "WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.user_serial = {user} ORDER BY s.id DESC LIMIT 1 OFFSET {before})"
_OPEN = Statement(
    f"{_INTO} SELECT {', '.join(f'${number}' for number in range(1, len(_OPENING_COLUMNS) + 1))} "
    + _HAS_ROOM.format(user="$2", before=f"${len(_OPENING_COLUMNS) + 1}")
)
# The same for many sessions, of different users. PostgreSQL only.
_OPEN_MANY = Statement(
    f"{_INTO} SELECT {', '.join(f'i.{name}' for name in _OPENING_COLUMNS)} FROM unnest("
    + ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(_OPENING_COLUMNS.values(), start=1))
    + f") AS i ({', '.join(_OPENING_COLUMNS)}) "
    + _HAS_ROOM.format(user="i.user_serial", before=f"${len(_OPENING_COLUMNS) + 1}")
    + " RETURNING id"
)


async def insert_session(values: Sequence[object], sessions_per_user: int) -> bool:
    """Store the session. Returns false, with nothing stored, if the user has `sessions_per_user` rows already."""
    return bool(await write(_OPEN, *values, sessions_per_user - 1))


async def insert_sessions(sessions: Sequence[Sequence[object]], sessions_per_user: int) -> set[str]:
    """Store the sessions in one statement, and return the IDs of those that are stored. PostgreSQL only.

    Each session must be of another user, because the statement does not see the rows that it adds.
    """
    columns = [list(column) for column in zip(*sessions, strict=True)]
    return {row["id"] for row in await fetch_indexed(_OPEN_MANY, *columns, sessions_per_user - 1)}
