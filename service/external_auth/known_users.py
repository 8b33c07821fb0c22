"""The fast path of an exchange: a known member whom the code does not change gets a session by one read and one write.

It exists because nearly every exchange is of this kind: the customer's application makes one at every page load. The full
path reads the configuration version, verifies the code, reads the user, and writes the session. This path verifies the code
with the configuration that the process knows, and reads the version together with the user. On PostgreSQL both statements
are shared with the other exchanges of the same turn (`database/batches.py`), on SQLite the write shares a commit.

`decide_for` decides here too: no condition of it is repeated in SQL. Whatever is unusual (another version, an unknown user,
an admin, any decision but a plain sign-in, too many sessions) is left to the full path, which begins from the beginning.
The two writes nothing before that, so a request that takes both paths is as one that takes the full path alone.

`KnownUsers.enabled = False` switches it off, for the tests that compare both paths.

SQL by hand: every request. It finds the user of a code.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from service.accounts.lookup import user_from_row
from service.accounts.models import UserRole
from service.accounts.provisioning import CodeTerms, SignIn, decide_for
from service.accounts.subjects import EmailClaim, Subject, UserClaim
from service.database import Batches, Row, Statement, fetch_indexed, fetch_one
from service.sessions.inserting import insert_session, insert_sessions
from service.sessions.lifecycle import OpenedSession, Opening, PreparedSession, prepare_session

# As `find_by_id_claim` and `find_by_email` find the user. The value that a code does not have is null, which equals nothing.
_FIND = Statement(
    "SELECT (SELECT version FROM external_auth WHERE id = 1) AS version, u.* FROM users u WHERE u.serial = COALESCE("
    "(SELECT serial FROM users WHERE external_id = $1),"
    " (SELECT serial FROM users WHERE id = $1),"
    " (SELECT serial FROM users WHERE email = $2))"
)
# The same for many codes; `place` counts from 1. PostgreSQL only.
_FIND_MANY = Statement(
    "SELECT i.place, c.version, u.* FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS i (user_id, email, place)"
    " CROSS JOIN (SELECT version FROM external_auth WHERE id = 1) c"
    " JOIN users u ON u.serial = COALESCE("
    "(SELECT serial FROM users WHERE external_id = i.user_id),"
    " (SELECT serial FROM users WHERE id = i.user_id),"
    " (SELECT serial FROM users WHERE email = i.email))"
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A verified code that may be of a known user, and what an exchange of it does."""

    subject: Subject
    terms: CodeTerms
    version: int
    """The version of the configuration that verified the code."""
    opening: Opening
    session_end: datetime

    @property
    def identifiers(self) -> tuple[str | None, str | None]:
        """The ID and the email by which the code names the user: one of them."""
        subject = self.subject
        return (None, subject.email) if isinstance(subject, EmailClaim) else (subject.id, None)


class KnownUsers:
    """Opens sessions for known users, for all exchanges of this process."""

    enabled: ClassVar[bool] = True

    def __init__(self, *, batched: bool) -> None:
        """`batched`: the exchanges of one turn share their statements, which only PostgreSQL can do."""
        self._batches = Batches(_open_all) if batched else None

    async def open_session(self, candidate: Candidate) -> OpenedSession | None:
        """Open a session for the user, or return None, with nothing written, if the full path must decide."""
        return await (_open_one(candidate) if self._batches is None else self._batches.ask(candidate))


async def _open_one(candidate: Candidate, is_wanted: Callable[[int], bool] = lambda _: True) -> OpenedSession | None:
    prepared = await _prepare(candidate, await fetch_one(_FIND, *candidate.identifiers))
    if (
        prepared is None
        or not is_wanted(0)
        or not await insert_session(prepared.values, candidate.opening.sessions_per_user)
    ):
        return None
    return prepared.opened


async def _open_all(
    candidates: Sequence[Candidate], is_wanted: Callable[[int], bool]
) -> Sequence[OpenedSession | None]:
    if len(candidates) == 1:
        return [await _open_one(candidates[0], is_wanted)]
    user_ids, emails = zip(*(candidate.identifiers for candidate in candidates), strict=True)
    rows = {row["place"]: row for row in await fetch_indexed(_FIND_MANY, user_ids, emails)}
    prepared: dict[int, PreparedSession] = {}  # by user: the insert takes one session of each
    results: list[PreparedSession | None] = []
    for place, candidate in enumerate(candidates, start=1):
        one = await _prepare(candidate, rows.get(place)) if is_wanted(place - 1) else None
        first = one and prepared.setdefault(one.opened.session.user.serial, one)
        results.append(one if one is first else None)
    if not prepared:
        return [None] * len(candidates)
    stored = await insert_sessions([one.values for one in prepared.values()], candidates[0].opening.sessions_per_user)
    return [one.opened if one and one.opened.session.id in stored else None for one in results]


async def _prepare(candidate: Candidate, row: Row | None) -> PreparedSession | None:
    """Return the session of a plain sign-in. None for everything else."""
    if row is None or row["version"] != candidate.version:
        return None
    user, subject = user_from_row(row), candidate.subject
    if user.role is not UserRole.MEMBER:
        return None  # the audit log records the session of an admin
    if isinstance(subject, UserClaim) and subject.email not in (None, user.shown_email):
        return None  # the decision would have to find out who has that email
    if await decide_for(user, subject, candidate.terms) != SignIn(user):
        return None
    return prepare_session(user, candidate.opening, candidate.session_end)
