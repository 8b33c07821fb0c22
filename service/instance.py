"""One running Doorcode: its settings, its database, and the objects that this process shares between requests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tortoise.exceptions import OperationalError

from service.accounts.code_cutoffs import SubjectHashes, open_subject_hashes
from service.accounts.search_index import check_search_index
from service.audit.pending import PendingEvents
from service.branding.configuration import BrandingCache
from service.database import (
    MOVE_UNDER_WAY,
    MOVED,
    Bounds,
    check_encoding,
    is_migrated,
    is_unreachable,
    migrate,
    newer_migrations,
    open_database,
    write_rest_of_marks,
)
from service.database.connection import refuse_unreachable
from service.email_login.dependencies import EmailLoginDependencies
from service.email_login.mail_queue import MAX_DELAY, MailQueue, renew_mail_encryption
from service.encryption import Cipher, cipher_that_fits
from service.erasing import renew_erasure_encryption
from service.external_auth.configuration import JwtConfigurationCache
from service.external_auth.exchange import ExchangeDependencies
from service.external_auth.known_users import KnownUsers
from service.external_auth.secrets import renew_secret_encryption
from service.folded_lines import FoldedLines
from service.page_urls import PageUrls
from service.rate_limit import FailedSignIns
from service.sessions.access_tokens import ensure_signing_keys, renew_key_encryption
from service.sessions.shown_once import renew_shown_encryption
from service.settings import MailDelivery, Settings, SettingsError
from service.sign_in.outcome import Outcomes


@dataclass(frozen=True, slots=True)
class Instance:
    """The objects that live as long as the process."""

    settings: Settings
    cipher: Cipher
    subject_hashes: SubjectHashes
    pending_events: PendingEvents
    folded_lines: FoldedLines
    branding: BrandingCache
    external_auth: ExchangeDependencies
    email_login: EmailLoginDependencies


@asynccontextmanager
async def open_instance(settings: Settings, *, serving: bool = False) -> AsyncIterator[Instance]:
    """Open the database and the keys, and check them. Raises `SettingsError` with one line for the operator.

    With `serving`, the waits for the database are bounded as requests need it. Commands may wait longer.
    SQLite is migrated here. On PostgreSQL the operator runs `doorcode migrate`.
    """
    if settings.uses_sqlite:
        await migrate(settings)
    async with open_checked_database(settings, Bounds.of_requests(settings.answer_timeout) if serving else None):
        await check_search_index()
        with cipher_that_fits(settings) as cipher:
            await renew_secret_encryption(cipher)
            await renew_key_encryption(cipher)
            await renew_mail_encryption(cipher)
            await renew_shown_encryption(cipher)
            await renew_erasure_encryption(cipher)
            await ensure_signing_keys(cipher)
            subject_hashes = await open_subject_hashes(cipher)
        instance = _instance(settings, cipher, subject_hashes)
        await instance.branding.current()
        try:
            yield instance
        finally:
            await instance.pending_events.write()
            await write_rest_of_marks()


@asynccontextmanager
async def open_checked_database(settings: Settings, bounds: Bounds | None = None) -> AsyncIterator[None]:
    """Open the database without changing it. Raises `SettingsError` if it is not that of this version."""
    async with open_database(settings, bounds):
        await _check_database(settings)
        yield


def _instance(settings: Settings, cipher: Cipher, subject_hashes: SubjectHashes) -> Instance:
    failed_sign_ins = FailedSignIns(settings, cipher.keyed_hash)  # exchanges and email codes are counted together
    outcomes = Outcomes(PendingEvents(), FoldedLines())
    return Instance(
        settings,
        cipher,
        subject_hashes,
        outcomes.pending_events,
        outcomes.folded_lines,
        BrandingCache(),
        ExchangeDependencies(
            JwtConfigurationCache(cipher),
            subject_hashes,
            KnownUsers(batched=not settings.uses_sqlite),
            failed_sign_ins,
            outcomes,
            settings.session_lifetime,
            settings.sessions_per_user,
        ),
        EmailLoginDependencies(
            cipher,
            failed_sign_ins,
            MailQueue(cipher, longest_delay=MAX_DELAY if settings.mail_delivery is MailDelivery.SMTP else 0.0),
            PageUrls(settings.public_url),
            outcomes,
            settings.session_lifetime,
            settings.admin_session_lifetime,
            settings.admin_idle_timeout,
            settings.sessions_per_user,
        ),
    )


async def _check_database(settings: Settings) -> None:
    try:
        migrated = await is_migrated()
        await check_encoding()
    except OperationalError as error:
        raise refuse_unreachable(settings, error) from error
    except Exception as error:
        if not is_unreachable(error):
            raise
        raise refuse_unreachable(settings, error) from error
    if not migrated:
        raise SettingsError("DOORCODE_DATABASE_URL: this database is not up to date; run: doorcode migrate")
    newer = await newer_migrations()
    if MOVED in newer:
        raise SettingsError(
            "DOORCODE_DATABASE_URL: this database was moved to PostgreSQL; set the URL of the PostgreSQL database. To go back, "
            f"with the loss of what was written there since, delete the row {MOVED!r} from the table tortoise_migrations"
        )
    if MOVE_UNDER_WAY in newer:
        raise SettingsError("DOORCODE_DATABASE_URL: data is being moved to this database; run doorcode move to its end")
    if newer:
        raise SettingsError(
            f"DOORCODE_DATABASE_URL: this database is newer than this version of Doorcode, which does not know "
            f"{', '.join(newer)}; install the newer version again, or restore a backup from before"
        )
