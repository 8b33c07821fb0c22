"""Lists the live sessions of users, newest first, for many users in one query.

SQL by hand: beyond the ORM. The queries repeat the condition for "live" and rank rows with a window function.
"""

from collections.abc import Sequence

from service.accounts.models import User
from service.clock import now
from service.database import Row, Statement, fetch, fetch_one
from service.paging import Conditions, Listing, Order, Page, Slice
from service.sessions.lifecycle import ADMIN_RIGHTS, LIVE, SESSION_COLUMNS, LiveSession, session_from_row

# IDs are UUIDv7, so the order of IDs is the order of opening.
_NEWEST_FIRST = Order("opened-", "session_id", descending=True, id_column="session_id", id_descending=True)
_SESSIONS = (
    f"SELECT {SESSION_COLUMNS}, s.user_serial FROM sessions s JOIN users u ON u.serial = s.user_serial WHERE {LIVE}"
)
_LIVE = {True: f"({_SESSIONS}) live", False: f"({_SESSIONS} AND NOT {ADMIN_RIGHTS}) live"}
"""With sessions that have admin rights, and without them."""
_BY_ID = {rights: Statement(f"SELECT * FROM {live} WHERE session_id = $2") for rights, live in _LIVE.items()}

_COUNT_UNEXPIRED = Statement("SELECT COUNT(*) AS number FROM sessions WHERE expires_at > $1")


def list_sessions(user: User, *, with_admin_rights: bool) -> Listing:
    """Return the live sessions of one user, with or without those that have admin rights."""
    conditions = Conditions(values=[now()])  # $1 of `LIVE`
    conditions.add("user_serial = {}", user.serial)
    return Listing(_LIVE[with_admin_rights], _NEWEST_FIRST, conditions)


async def find_live(session_id: str, *, with_admin_rights: bool) -> LiveSession | None:
    """Return the live session with this ID, or None. Sessions with admin rights are found only if asked for."""
    row = await fetch_one(_BY_ID[with_admin_rights], now(), session_id)
    return session_from_row(row, await User.get(serial=row["user_serial"])) if row else None


async def first_pages(users: Sequence[User], size: int, *, with_admin_rights: bool) -> list[Page]:
    """Return the first page of each user's sessions, in the order of `users`. One query for all."""
    listings = {user.serial: list_sessions(user, with_admin_rights=with_admin_rights) for user in users}
    ranked = (
        f"SELECT *, ROW_NUMBER() OVER (PARTITION BY user_serial ORDER BY session_id DESC) AS place"
        f" FROM {_LIVE[with_admin_rights]} WHERE user_serial IN ({_placeholders(len(listings))})"
    )
    statement = Statement(f"SELECT * FROM ({ranked}) ranked WHERE place <= {size + 1} ORDER BY session_id DESC")
    rows: dict[int, list[Row]] = {serial: [] for serial in listings}
    for row in await fetch(statement, now(), *listings):
        rows[row["user_serial"]].append(row)
    return [
        Page(listings[user.serial], rows[user.serial][:size], len(rows[user.serial]) > size, Slice(first=size))
        for user in users
    ]


async def count_live(users: Sequence[User], *, with_admin_rights: bool) -> list[int]:
    """Return how many live sessions each user has, in the order of `users`. One query for all."""
    serials = {user.serial for user in users}
    statement = Statement(
        f"SELECT user_serial, COUNT(*) AS live FROM {_LIVE[with_admin_rights]}"
        f" WHERE user_serial IN ({_placeholders(len(serials))}) GROUP BY user_serial"
    )
    counts = {row["user_serial"]: int(row["live"]) for row in await fetch(statement, now(), *serials)}
    return [counts.get(user.serial, 0) for user in users]


async def count_unexpired() -> int:
    """Return how many sessions of all users have not expired, without looking whether something has ended them since."""
    return int((await fetch(_COUNT_UNEXPIRED, now()))[0]["number"])


def _placeholders(number: int) -> str:
    return ", ".join(f"${n}" for n in range(2, number + 2))
