"""The secrets that sign codes: enabling, rotating and revoking, and until when each secret verifies (contract §2).

Every change raises the configuration version first. The update locks the configuration row, so changes run one after
the other. The new version makes the next request of every process reload the configuration.

SQL by hand: atomic. The version is raised, and the time of the last use never goes back.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from secrets import token_urlsafe

from tortoise.expressions import Q

from service.accounts.code_cutoffs import cutoff_from
from service.audit.actions import Action
from service.audit.log import Actor, record
from service.clock import now
from service.database import Statement, set_mark, transaction, write
from service.encryption import Cipher
from service.errors import BadUserInput, Conflict, NotFound
from service.external_auth.models import ExternalAuth, JwtSecret
from service.ids import could_be_id, new_id
from service.sessions.lifecycle import end_sessions_of_method, end_sessions_of_secret
from service.sessions.models import SignInMethod

SECRET_BYTES = 32  # RFC 7518 §3.2: an HS256 key has at least 256 bits
HINT_CHARACTERS = 4
DEFAULT_GRACE_PERIOD = 86_400  # seconds
MAX_GRACE_PERIOD = 30 * 86_400  # seconds
MAX_LIVE_SECRETS = 5
MAX_LISTED = 100
DESTROYED_AFTER = timedelta(days=30)

_DESTROYED = ""  # in place of the encrypted text
_CHANGED = Statement("UPDATE external_auth SET version = version + 1 WHERE id = 1")
_USED = Statement(
    "UPDATE jwt_secrets SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)"
)


class JwtSecretStatus(StrEnum):
    """CURRENT and RETIRING secrets verify codes, RETIRED and REVOKED ones do not."""

    CURRENT = "CURRENT"
    RETIRING = "RETIRING"
    RETIRED = "RETIRED"
    REVOKED = "REVOKED"


LIVE = (JwtSecretStatus.CURRENT, JwtSecretStatus.RETIRING)
"""The states in which a secret verifies codes."""


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret's text, which is shown once, and its row."""

    text: str
    row: JwtSecret


def status_of(secret: JwtSecret, at: datetime) -> JwtSecretStatus:
    """Return the status of the secret at that time."""
    if secret.revoked_at is not None:
        return JwtSecretStatus.REVOKED
    if secret.retires_at is None:
        return JwtSecretStatus.CURRENT
    return JwtSecretStatus.RETIRING if at < secret.retires_at else JwtSecretStatus.RETIRED


def is_destroyed(secret: JwtSecret) -> bool:
    """Return whether the text of the secret was destroyed. The row stays, so that its ID can still be explained."""
    return secret.encrypted_secret == _DESTROYED


async def list_secrets() -> list[JwtSecret]:
    """Return every secret, including retired and revoked ones, newest first."""
    return await JwtSecret.all().order_by("-created_at", "-id")


async def list_newest_secrets() -> list[JwtSecret]:
    """Return the secrets that verify codes, and the newest of all, newest first. For people: the list is bounded."""
    moment = now()
    rows = await list_secrets()
    return [row for number, row in enumerate(rows) if number < MAX_LISTED or status_of(row, moment) in LIVE]


async def enable(cipher: Cipher, by: Actor) -> NewSecret | None:
    """Enable sign-in by codes. Returns the new secret, or None if there is a current secret already.

    Raises `Conflict` if a new secret is needed and 5 secrets are live.
    """
    async with transaction():
        await mark_changed()
        await ExternalAuth.filter(id=1).update(enabled=True)
        secret = None if await _current() else await _make(cipher)
        await record(Action.JWT_ENABLED, by, secret_id=secret.row.id if secret else None)
    return secret


async def disable(by: Actor, *, end_sessions: bool = False) -> None:
    """Disable sign-in by codes. With `end_sessions`, end every session that a code opened. Keeps the secrets."""
    async with transaction():
        await mark_changed()
        auth = await ExternalAuth.get(id=1)
        auth.enabled = False
        if end_sessions:
            await _end_sessions(auth)
        await auth.save(update_fields=["enabled", "session_epoch"])
        await record(Action.JWT_DISABLED, by, detail={"endSessions": end_sessions})


async def end_code_sessions(by: Actor) -> None:
    """End every session that a code opened, or is just opening."""
    async with transaction():
        await mark_changed()
        auth = await ExternalAuth.get(id=1)
        await _end_sessions(auth)
        await auth.save(update_fields=["session_epoch"])
        await record(Action.SESSIONS_ENDED, by, detail={"method": SignInMethod.EXTERNAL_JWT})


async def disable_for_restored_database() -> bool:
    """Disable sign-in by codes, end every session that a code opened, and return whether it was enabled.

    Call it in a transaction. The version jumps to the present in milliseconds: a server that ran while the database was
    restored may have cached a configuration under a number that the restored row would reach only by this change.
    """
    await mark_changed()
    auth = await ExternalAuth.get(id=1)
    was_enabled = auth.enabled
    auth.enabled = False
    auth.version = max(auth.version, int(now().timestamp() * 1000))
    await _end_sessions(auth)
    await auth.save(update_fields=["enabled", "version", "session_epoch"])
    return was_enabled


async def revoke_all_codes(by: Actor, *, end_sessions: bool = False) -> ExternalAuth:
    """Refuse every code that was issued before now. With `end_sessions`, end every session that a code opened.

    The secrets stay, and codes that are issued from now on work. Returns the configuration's row.
    """
    async with transaction():
        await mark_changed()
        auth = await ExternalAuth.get(id=1)
        auth.codes_valid_from = cutoff_from(auth.codes_valid_from)
        if end_sessions:
            await _end_sessions(auth)
        await auth.save(update_fields=["codes_valid_from", "session_epoch"])
        await record(Action.JWT_CODES_REVOKED, by, detail={"endSessions": end_sessions})
    return auth


async def _end_sessions(auth: ExternalAuth) -> None:
    auth.session_epoch += 1
    await end_sessions_of_method(SignInMethod.EXTERNAL_JWT, auth.session_epoch)


async def rotate(cipher: Cipher, by: Actor, *, grace_period: int = DEFAULT_GRACE_PERIOD) -> NewSecret:
    """Make a new current secret. The previous one verifies for `grace_period` more seconds (0: not at all).

    Ends no session. Raises `BadUserInput` for a period below 0 or over 30 days, and `Conflict` if more than 5 secrets
    would be live.
    """
    if not 0 <= grace_period <= MAX_GRACE_PERIOD:
        raise BadUserInput(f"The grace period must be between 0 and {MAX_GRACE_PERIOD} seconds (30 days).")
    async with transaction():
        await mark_changed()
        before = await _current()
        if before is not None:
            before.retires_at = now() + timedelta(seconds=grace_period)
            await before.save(update_fields=["retires_at"])
        secret = await _make(cipher)
        await record(
            Action.JWT_SECRET_ROTATED,
            by,
            secret_id=secret.row.id,
            detail={"gracePeriodSeconds": grace_period, "replaces": before.id if before else None},
        )
    return secret


async def revoke(secret_id: str, by: Actor, *, end_sessions: bool = True) -> None:
    """Refuse codes signed with this secret from now on. With `end_sessions`, end every session that its codes opened.

    Raises `NotFound`. Revoking twice is no error, so that a second call can still end the sessions.
    """
    async with transaction():
        await mark_changed()
        secret = await JwtSecret.get_or_none(id=secret_id) if could_be_id(secret_id) else None
        if secret is None:
            raise NotFound("There is no JWT secret with this id.")
        if secret.revoked_at is None:
            secret.revoked_at = now()
            await secret.save(update_fields=["revoked_at"])
        if end_sessions:
            await end_sessions_of_secret(secret.id)
        await record(Action.JWT_SECRET_REVOKED, by, secret_id=secret.id, detail={"endSessions": end_sessions})


async def current_secret(cipher: Cipher) -> NewSecret | None:
    """Return the current secret with its text, or None. Used to sign a code on this machine."""
    row = await _current()
    return None if row is None else NewSecret(cipher.decrypt(row.encrypted_secret), row)


async def record_secret_used(secret_id: str, minute: datetime, *, is_first: bool) -> None:
    """Set the secret's `last_used_at` to this minute soon, unless it is later already."""
    await set_mark(_USED, secret_id, minute, secret_id, is_first=is_first)


async def mark_changed() -> None:
    """Raise the configuration version. Every change of the configuration or of a secret calls this first."""
    await write(_CHANGED)


async def renew_secret_encryption(cipher: Cipher) -> None:
    """Encrypt every secret with the first encryption key, so that older keys can be removed.

    Raises if one cannot be read.
    """
    for row in await JwtSecret.exclude(encrypted_secret=_DESTROYED):
        renewed = cipher.renewed(row.encrypted_secret)
        if renewed is not None:
            async with transaction():
                await JwtSecret.filter(id=row.id).update(encrypted_secret=renewed)


async def destroy_ended_secrets() -> int:
    """Destroy the text of secrets that were revoked or have retired 30 days ago, and return how many there were.

    Until then the inspection tells an integrator which old secret a program still signs with. After that, a copy of the
    database and its encryption key reveals as few texts as possible.
    """
    before = now() - DESTROYED_AFTER
    ended = JwtSecret.filter(Q(revoked_at__lt=before) | Q(retires_at__lt=before)).exclude(encrypted_secret=_DESTROYED)
    if not await ended.exists():
        return 0
    async with transaction():
        await mark_changed()  # every process forgets the texts at its next exchange
        return await ended.update(encrypted_secret=_DESTROYED)


async def _current() -> JwtSecret | None:
    return await JwtSecret.get_or_none(retires_at__isnull=True, revoked_at__isnull=True)


async def _make(cipher: Cipher) -> NewSecret:
    moment = now()
    if await JwtSecret.filter(revoked_at__isnull=True, retires_at__gt=moment).count() >= MAX_LIVE_SECRETS:
        raise Conflict(f"{MAX_LIVE_SECRETS} secrets are live already. Revoke one, or wait until one retires.")
    text = token_urlsafe(SECRET_BYTES)
    row = await JwtSecret.create(
        id=new_id("jws_"), encrypted_secret=cipher.encrypt(text), hint=text[:HINT_CHARACTERS], created_at=moment
    )
    return NewSecret(text, row)
