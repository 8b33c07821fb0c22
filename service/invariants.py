"""What must always be true of the database, for `doorcode check`: counters, encrypted texts, and references.

SQL by hand: beyond the ORM. The counts are made in the database, by conditions between tables.
"""

from collections.abc import AsyncIterator

from tortoise.models import Model

from service.accounts.models import Seats, SubjectKey, UserOrigin, UserStatus
from service.accounts.seats import lock_seats
from service.audit.models import Erasure
from service.clock import now
from service.database import Statement, fetch, transaction
from service.email_login.models import EmailLogin, OutgoingMail
from service.encryption import Cipher
from service.external_auth.models import ExternalAuth, JwtSecret
from service.external_auth.secrets import JwtSecretStatus, is_destroyed, list_secrets, status_of
from service.sessions.models import ShownSecret, SigningKey, SigningKeyState

ENCRYPTED: tuple[tuple[type[Model], str], ...] = (
    (JwtSecret, "encrypted_secret"),
    (SigningKey, "encrypted_private_key"),
    (OutgoingMail, "encrypted_letter"),
    (ShownSecret, "encrypted_secret"),
    (SubjectKey, "encrypted_key"),
    (Erasure, "encrypted_person"),
)
"""Every column that is encrypted with the operator's keys."""

_ONE_ROW: tuple[type[Model], ...] = (Seats, ExternalAuth, EmailLogin)
_USERS = Statement("SELECT origin, status, COUNT(*) AS users FROM users GROUP BY origin, status")
_TWO_EMAILS = Statement("SELECT COUNT(*) AS users FROM users WHERE email IS NOT NULL AND claimed_email IS NOT NULL")
_GROUPS = Statement(
    "SELECT name, kept, counted FROM (SELECT g.name, g.member_count AS kept, (SELECT COUNT(*) FROM group_members m"
    " JOIN users u ON u.serial = m.user_serial WHERE m.name = g.name AND u.status = 'ACTIVE') AS counted"
    " FROM user_groups g) counts WHERE kept <> counted ORDER BY name"
)
_ORPHANS = {
    "sessions": Statement(
        "SELECT COUNT(*) AS orphans FROM sessions s WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.serial = s.user_serial)"
    ),
    "known_clients": Statement(
        "SELECT COUNT(*) AS orphans FROM known_clients k"
        " WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.serial = k.user_serial)"
    ),
    "group_members": Statement(
        "SELECT COUNT(*) AS orphans FROM group_members m"
        " WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.serial = m.user_serial)"
    ),
}


async def broken_invariants(cipher: Cipher) -> AsyncIterator[str]:
    """Yield one line for each invariant that does not hold. A server may run meanwhile."""
    for find in (_rows_missing, _counters, _emails, _orphans, _secrets, _signing_keys):
        async for line in find():
            yield line
    async for line in _unreadable(cipher):
        yield line


async def _rows_missing() -> AsyncIterator[str]:
    for model in _ONE_ROW:
        if (rows := await model.all().count()) != 1:
            yield f"{model._meta.db_table}: there must be one row, and there are {rows}"


async def _counters() -> AsyncIterator[str]:
    """Count under the lock that every change of a counter takes, so that no change comes between.

    The row of a user whose access has just ended says so a moment later, and so do the counters.
    """
    async with transaction():
        await lock_seats()
        seats = await Seats.get(id=1)
        counted = {(row["origin"], row["status"]): int(row["users"]) for row in await fetch(_USERS)}
        groups = await fetch(_GROUPS)
    for origin in UserOrigin:
        for status in UserStatus:
            users = counted.get((origin.value, status.value), 0)
            kept = getattr(seats, f"{status}_{origin}".lower())
            if kept != users:
                yield f"seats: {kept} users are counted as {status} and {origin}, and there are {users}"
    for row in groups:
        yield f"user_groups: {row['name']!r} has a count of {row['kept']} members, and there are {row['counted']}"


async def _emails() -> AsyncIterator[str]:
    """A claimed email never replaces a verified one (contract §1)."""
    if users := (await fetch(_TWO_EMAILS))[0]["users"]:
        yield f"users: {users} have a claimed email beside a verified one"


async def _orphans() -> AsyncIterator[str]:
    for table, statement in _ORPHANS.items():
        orphans = (await fetch(statement))[0]["orphans"]
        if orphans:
            yield f"{table}: {orphans} rows belong to users that do not exist"


async def _secrets() -> AsyncIterator[str]:
    secrets, moment = await list_secrets(), now()
    current = [secret for secret in secrets if status_of(secret, moment) is JwtSecretStatus.CURRENT]
    if len(current) > 1:
        yield f"jwt_secrets: at most one can be current, and {len(current)} are"
    for secret in secrets:
        if (
            is_destroyed(secret)
            and secret.revoked_at is None
            and (secret.retires_at is None or secret.retires_at > moment)
        ):
            yield f"jwt_secrets: the text of {secret.id} is destroyed, although the secret has not ended"


async def _signing_keys() -> AsyncIterator[str]:
    for state in (SigningKeyState.CURRENT, SigningKeyState.NEXT):
        if (keys := await SigningKey.filter(state=state).count()) != 1:
            yield f"signing_keys: there must be one key in the state {state}, and there are {keys}"


async def _unreadable(cipher: Cipher) -> AsyncIterator[str]:
    async for table, column, key, text in encrypted_texts():
        if not cipher.can_read(text):
            yield f"{table}: no encryption key fits {column} of {key}"


async def encrypted_texts() -> AsyncIterator[tuple[str, str, str, str]]:
    """Yield the table, the column, the primary key and the text of everything that is encrypted."""
    for model, column in ENCRYPTED:
        for row in await model.all().only(model._meta.pk_attr, column):
            if text := getattr(row, column):
                yield str(model._meta.db_table), column, str(row.pk), text
