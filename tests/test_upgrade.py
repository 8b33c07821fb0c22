"""A database that an old version filled is migrated, and everything in it goes on working."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tortoise.context import TortoiseContext
from tortoise.migrations.api import migrate as run_migrations

from service.accounts.models import User
from service.accounts.seats import count_seats, seat_history
from service.api_keys.keys import find_api_key
from service.api_keys.models import ApiKeyScope
from service.audit.listing import AuditFilter, list_events
from service.authority import by_session_token
from service.clock import now
from service.database import Statement, is_migrated, migrate, newer_migrations, open_database, write
from service.database.connection import configuration
from service.email_login.codes import find_request
from service.email_login.configuration import read_configuration
from service.email_login.links import find_invited
from service.email_login.mail_queue import ClaimedMail, claim
from service.encryption import Cipher, open_cipher
from service.external_auth.configuration import policy_of
from service.external_auth.models import ExternalAuth
from service.instance import Instance, open_instance
from service.paging import Slice
from service.sessions.access_tokens import ensure_signing_keys, issue_access_token, published_keys
from service.sessions.lifecycle import find_session
from service.sessions.models import TokenTransport
from service.settings import Settings, load_settings
from tests.actions import CLIENT, answer_to, code_of, rows, sign_in
from tests.email_login.dependencies import answer_to as answer_to_email_code

OLD = "doorcode.0005_indexes"
DAY = timedelta(days=1)
SECRET, API_KEY = "s" * 43, "dck_" + "k" * 43
TOKENS = {name: "dcs_" + name[0] * 43 for name in ("member by code", "admin by email", "other member by email")}
LINK, REQUEST = "dcl_" + "l" * 43, "r" * 22
TABLES_THEN = {
    *("api_keys", "audit_events", "email_code_allowances", "email_codes", "email_login", "external_auth"),
    *("jwt_secrets", "outgoing_mails", "seat_samples", "seats", "session_cutoffs", "sessions", "shown_secrets"),
    *("sign_in_links", "signing_keys", "used_codes", "users"),
}


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def insert(table: str, **values: object) -> None:
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    await write(Statement(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})"), *values.values())


async def migrate_to_the_old_version(settings: Settings) -> None:
    engine, keys = (
        ("service.database.postgres", {})
        if not settings.uses_sqlite
        else ("tortoise.backends.sqlite", {"foreign_keys": "OFF"})
    )
    async with TortoiseContext():
        await run_migrations(config=configuration(settings, engine=engine, **keys), direction="forward", target=OLD)


async def fill(cipher: Cipher) -> None:
    """A row in every table, as version 0005 wrote it."""
    moment = now()
    await fill_users(moment)
    await fill_sessions(moment, cipher)
    await write(
        Statement(
            "UPDATE external_auth SET version = 7, enabled = $1, session_epoch = 1, max_lifetime_seconds = 3600, issuer = 'crm'"
        ),
        True,
    )
    await write(Statement("UPDATE email_login SET sign_up = 'OPEN'"))
    await insert(
        "jwt_secrets", id="jws_1", encrypted_secret=cipher.encrypt(SECRET), hint="ssss", created_at=moment - DAY
    )
    await insert(
        "jwt_secrets", id="jws_0", encrypted_secret=cipher.encrypt("o" * 43), hint="oooo", created_at=moment - 9 * DAY,
        retires_at=moment - 2 * DAY, revoked_at=moment - 3 * DAY, last_used_at=moment - 4 * DAY,
    )  # fmt: skip
    await insert("used_codes", id=hashed("jws_1 jti"), expires_at=moment + DAY)
    await insert(
        "api_keys", id="key_1", name="ci", hint="kkkk", token_hash=hashed(API_KEY), scope="ADMIN", created_at=moment
    )
    await insert(
        "audit_events", id="01890000000070008000000000000001", action="user.created", actor="code:jws_1",
        user_id="crm-1", secret_id="jws_1", detail=json.dumps({"origin": "EXTERNAL_JWT"}), count=1,
        ip_address="192.0.2.1", created_at=moment - DAY,
    )  # fmt: skip
    await insert("seat_samples", day=date(2026, 1, 1), used=2, seat_limit=5)
    await write(
        Statement(
            "UPDATE seats SET seat_limit = 5, active_external_jwt = 1, active_invitation = 2, deactivated_external_jwt = 1"
        )
    )


async def fill_users(moment: datetime) -> None:
    user: dict[str, Any] = {
        "metadata": "{}",
        "role": "MEMBER",
        "status": "ACTIVE",
        "session_epoch": 2,
        "created_at": moment - 9 * DAY,
    }
    people: tuple[dict[str, Any], ...] = (
        {"id": "crm-1", "email": "ada@example.com", "origin": "EXTERNAL_JWT", "metadata": json.dumps({"plan": "gold"}), "last_seen_at": moment},
        {"id": "usr_boss", "email": "boss@example.com", "origin": "INVITATION", "role": "ADMIN"},
        {"id": "usr_3", "external_id": "crm-3", "email": "grace@example.com", "origin": "INVITATION"},
        {"id": "crm-4", "origin": "EXTERNAL_JWT", "status": "DEACTIVATED"},
    )  # fmt: skip
    for person in people:
        row = {**user, **person}
        text = " ".join(str(row[name]).lower() for name in ("id", "external_id", "email") if row.get(name))
        await insert("users", **row, search_text=text)


async def fill_sessions(moment: datetime, cipher: Cipher) -> None:
    serials = {row["id"]: row["serial"] for row in await rows("users")}
    session: dict[str, Any] = {"user_epoch": 2, "method_epoch": 0, "carrier": "BEARER", "created_at": moment, "expires_at": moment + DAY, "last_seen_at": moment, "ip_address": "192.0.2.1", "user_agent": "tests"}  # fmt: skip
    opened: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("member by code", "crm-1", {"method": "EXTERNAL_JWT", "method_epoch": 1, "secret_id": "jws_1"}),
        ("admin by email", "usr_boss", {"method": "EMAIL"}),
        ("other member by email", "usr_3", {"method": "EMAIL"}),
    )
    for number, (name, user_id, values) in enumerate(opened):
        columns = {
            **session,
            "id": f"{number:032}",
            "user_serial": serials[user_id],
            "token_hash": hashed(TOKENS[name]),
        }
        await insert("sessions", **{**columns, **values})
    await insert("session_cutoffs", scope="EXTERNAL_JWT", epoch=1)
    await insert("shown_secrets", id="x" * 32, session_id=f"{1:032}", kind="jwt", encrypted_secret=cipher.encrypt("t"), expires_at=moment + DAY)  # fmt: skip
    await insert("sign_in_links", holder=serials["usr_3"], token_hash=hashed(LINK), email="grace@example.com", expires_at=moment + DAY)  # fmt: skip
    code_hash = cipher.keyed_hash(f"email code\n{REQUEST}\n123456")
    await insert("email_codes", id=REQUEST, email="boss@example.com", code_hash=code_hash, tries=1, created_at=moment, expires_at=moment + DAY)  # fmt: skip
    await insert("email_code_allowances", id=hashed("boss"), used=1, ends_at=moment + DAY)
    letter = cipher.encrypt(json.dumps({"kind": "code", "email": "boss@example.com", "secret": "123456"}))
    await insert(
        "outgoing_mails", id="m" * 32, encrypted_letter=letter, tries=0, due_at=moment, expires_at=moment + DAY
    )
    await ensure_signing_keys(cipher)


@pytest.fixture
async def filled(empty_database_url: str, tmp_path: Path) -> Settings:
    """A database as the old version left it."""
    settings = load_settings({"DOORCODE_DATABASE_URL": empty_database_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")})
    await migrate_to_the_old_version(settings)
    async with open_database(settings):
        await fill(open_cipher(settings))
        assert [table for table in TABLES_THEN if not await rows(table)] == []
    return settings


@asynccontextmanager
async def upgraded(settings: Settings) -> AsyncIterator[Instance]:
    await migrate(settings)
    async with open_instance(settings) as instance:
        assert await is_migrated()
        assert await newer_migrations() == []
        yield instance


def comparable(row: Any) -> dict[str, object]:
    return {name: str(value) for name, value in dict(row).items()}


async def test_every_row_and_every_value_stays(filled: Settings) -> None:
    async with open_database(filled):
        before = {table: [comparable(row) for row in await rows(table)] for table in TABLES_THEN}
    async with upgraded(filled):
        for table, old_rows in before.items():
            new_rows = [comparable(row) for row in await rows(table)]
            kept = [{name: row[name] for name in old_rows[0]} for row in new_rows]
            assert sorted(map(str, kept)) == sorted(map(str, old_rows)), table


async def test_sessions_go_on_and_an_admin_signs_in_again(filled: Settings) -> None:
    async with upgraded(filled):
        found = {name: await find_session(token) for name, token in TOKENS.items()}
        assert {name: session.user.id for name, session in found.items() if session} == {
            "member by code": "crm-1",
            "admin by email": "usr_boss",
            "other member by email": "usr_3",
        }
        caller = await by_session_token(TOKENS["admin by email"], CLIENT, frozenset(TokenTransport))
        assert caller.session
        assert not caller.session.has_admin_rights


async def test_codes_of_the_old_secret_sign_in_known_and_new_users(filled: Settings) -> None:
    async with upgraded(filled) as instance:
        auth = await ExternalAuth.get(id=1)
        assert (auth.enabled, auth.version, auth.session_epoch) == (True, 7, 1)
        assert (policy_of(auth).max_lifetime_seconds, policy_of(auth).issuer) == (3600, "crm")
        times = {"iat": int(now().timestamp()), "exp": int(now().timestamp()) + 60, "iss": "crm"}

        def code(user_id: str) -> str:
            return code_of(SECRET, {"user": {"id": user_id}, **times})

        known = await sign_in(instance, code("crm-1"))
        assert (known.session.user.email, json.loads(known.session.user.metadata)) == (
            "ada@example.com",
            {"plan": "gold"},
        )
        assert (await sign_in(instance, code("crm-3"))).session.user.id == "usr_3"
        assert await answer_to(instance, code("crm-4")) == "USER_DEACTIVATED"
        assert await answer_to(instance, code("crm-new")) is None
        count = await count_seats()
        assert (count.used, count.limit) == (4, 5)
        assert (await seat_history(400))[-1].used == 4


async def test_addresses_are_verified_and_links_and_email_codes_work(filled: Settings) -> None:
    async with upgraded(filled) as instance:
        assert [user.email for user in await User.all().order_by("serial")] == [
            "ada@example.com",
            "boss@example.com",
            "grace@example.com",
            None,
        ]
        invited = await find_invited(LINK)
        assert invited
        assert invited.id == "usr_3"
        assert await find_request(REQUEST)
        assert await answer_to_email_code(instance, REQUEST, "123456") is None
        assert (await read_configuration()).admits("new@example.com")
        mail = await claim(timedelta(minutes=1))
        assert isinstance(mail, ClaimedMail)
        assert instance.email_login.mail_queue.read(mail).email == "boss@example.com"


async def test_keys_and_the_audit_log_stay(filled: Settings) -> None:
    async with upgraded(filled) as instance:
        key = await find_api_key(API_KEY)
        assert key
        assert key.scope is ApiKeyScope.ADMIN
        page = await list_events(AuditFilter(secret_id="jws_1")).page(Slice())
        assert [row["user_id"] for row in page.rows] == ["crm-1"]
        session = await find_session(TOKENS["member by code"])
        assert session
        await issue_access_token(session, instance.settings, instance.cipher)
        assert len(await published_keys(instance.settings)) == 2


async def test_upgrade_may_be_interrupted_and_run_again(filled: Settings) -> None:
    await migrate(filled)
    async with upgraded(filled):
        assert {user.id for user in await User.all()} == {"crm-1", "usr_boss", "usr_3", "crm-4"}
