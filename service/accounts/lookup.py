"""Who is this id or email? The hot read of every sign-in, and the same question asked by administrators."""

from service.accounts.models import User
from service.database import Row, Statement, fetch_one
from service.errors import NotFound

# One question for both kinds of id; an external id wins over the id that another user may have (contract §1).
_BY_ID_CLAIM = Statement(
    "SELECT * FROM users WHERE external_id = $1 OR id = $1 ORDER BY CASE WHEN external_id = $1 THEN 0 ELSE 1 END LIMIT 1"
)
_BY_EMAIL = Statement("SELECT * FROM users WHERE email = $1")
_BY_ID = Statement("SELECT * FROM users WHERE id = $1")
_BY_ID_LOCKED = Statement("SELECT * FROM users WHERE id = $1 FOR UPDATE")


async def find_by_id_claim(user_id: str) -> User | None:
    """The user whose external id this is, else whose id it is."""
    return _user_or_none(await fetch_one(_BY_ID_CLAIM, user_id))


async def find_by_email(email: str) -> User | None:
    """The user with this normalised address."""
    return _user_or_none(await fetch_one(_BY_EMAIL, email))


async def find_by_id(user_id: str) -> User | None:
    """The user with this id; external ids do not count."""
    return _user_or_none(await fetch_one(_BY_ID, user_id))


async def lock_by_id(user_id: str) -> User:
    """The user, whom nobody else changes before this transaction ends; raises `NotFound`.

    The race it stops: two administrators who change one user at once, each from what it was before the other.
    """
    user = _user_or_none(await fetch_one(_BY_ID_LOCKED, user_id))
    if user is None:
        raise NotFound("There is no user with this id.")
    return user


def user_from_row(row: Row) -> User:
    """A user from a row that has every column of the table."""
    return User._init_from_db(**{column: row[column] for column in User._meta.db_fields})


def _user_or_none(row: Row | None) -> User | None:
    return None if row is None else user_from_row(row)
