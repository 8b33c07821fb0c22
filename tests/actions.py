"""Actions on the service in this process: signed codes, exchanges, users, as its HTTP routes run them."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import jwt
import pytest

from service.accounts.administration import add_invited_user
from service.accounts.code_cutoffs import SubjectHashes
from service.accounts.lookup import find_by_id
from service.accounts.models import User, UserRole
from service.audit.log import Actor
from service.audit.models import AuditEvent
from service.authority import by_session_token
from service.clock import now
from service.database import Row, Statement, fetch, fetch_one, transaction, write_rest_of_marks
from service.errors import SignInRefused
from service.external_auth import secrets
from service.external_auth.configuration import update_policy
from service.external_auth.exchange import exchange
from service.instance import Instance
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import Client, OpenedSession, Opening, open_session
from service.sessions.models import SignInMethod, TokenTransport
from service.sign_in.attempt import SignInAttempt, SignInResult

TABLES = [
    "api_keys",
    "audit_events",
    "branding",
    "code_cutoffs",
    "daily_counts",
    "email_code_allowances",
    "email_codes",
    "email_login",
    "erasures",
    "external_auth",
    "group_members",
    "held_codes",
    "jwt_secrets",
    "known_clients",
    "outgoing_mails",
    "refused_sign_ins",
    "seat_samples",
    "seats",
    "session_cutoffs",
    "sessions",
    "sent_forms",
    "shown_secrets",
    "sign_in_links",
    "signing_keys",
    "subject_keys",
    "used_codes",
    "user_groups",
    "users",
    "wrong_codes",
]
ADDRESS = "192.0.2.1"
CLIENT = Client(ADDRESS, "tests")
TESTER = Actor("tester", ADDRESS, may_change_admins=True)
HASHES = SubjectHashes(b"the key of an instance that no test asks")


def code_of(secret: str, claims: Mapping[str, Any], **header: object) -> str:
    """A code as an integrator's program makes it from the secret's text; the claims may be any, however wrong."""
    return jwt.PyJWS().encode(json.dumps(claims).encode(), secret, "HS256", header or None)


async def enable(instance: Instance) -> str:
    """Switches the method on; the text of the secret that this made."""
    made = await secrets.enable(instance.cipher, TESTER)
    assert made, "there was a current secret already"
    return made.text


async def set_policy(**values: object) -> None:
    """Changes the policy, by its column names."""
    await update_policy(values, TESTER)


async def attempt(
    session_token: str | None = None, token_transport: TokenTransport = TokenTransport.BEARER, client: Client = CLIENT
) -> SignInAttempt:
    """The attempt of a request with this session token, as the routes build it."""
    caller = await by_session_token(session_token, client, frozenset(TokenTransport))
    return SignInAttempt(client, token_transport, caller.session, caller.session_token)


async def sign_in(
    instance: Instance,
    code: str,
    *,
    session_token: str | None = None,
    token_transport: TokenTransport = TokenTransport.BEARER,
    client: Client = CLIENT,
    lifetime: int | None = None,
) -> SignInResult:
    """One exchange."""
    arrived = await attempt(session_token, token_transport, client)
    return await exchange(code, arrived, instance.external_auth, lifetime=lifetime)


async def refusal_of(instance: Instance, code: str, **how: Any) -> SignInRefused:
    """The refusal of an exchange that has to be refused."""
    with pytest.raises(SignInRefused) as refused:
        await sign_in(instance, code, **how)
    return refused.value


async def answer_to(instance: Instance, code: str, **how: Any) -> SignInErrorCode | None:
    """What an exchange answers: its error's code, or None if a user is signed in."""
    try:
        await sign_in(instance, code, **how)
    except SignInRefused as refused:
        return refused.code
    return None


async def user(user_id: str) -> User:
    """The user with this id, as the database has it now."""
    found = await find_by_id(user_id)
    assert found, f"there is no user {user_id}"
    return found


async def add_invited(email: str, role: UserRole) -> User:
    """A user who was invited, without the mail."""
    async with transaction():
        return await add_invited_user(email, role, TESTER)


async def member(email: str) -> User:
    """A member who was invited."""
    return await add_invited(email, UserRole.MEMBER)


async def admin(email: str = "admin@example.com") -> User:
    """An admin who was invited."""
    return await add_invited(email, UserRole.ADMIN)


async def open_for(
    person: User,
    method: SignInMethod = SignInMethod.EMAIL,
    token_transport: TokenTransport = TokenTransport.BEARER,
    lifetime: float = 3600,
) -> OpenedSession:
    """A session of this user, as a sign-in by this method opens it."""
    return await open_session(person, Opening(method, token_transport, CLIENT), now() + timedelta(seconds=lifetime))


async def audited(*names: str) -> list[tuple[str, str | None]]:
    """The audit log's events of these actions, oldest first, with their users."""
    events = await AuditEvent.filter(action__in=names).order_by("created_at", "id")
    return [(event.action, event.user_id) for event in events]


async def rows(table: str, where: str = "") -> list[Row]:
    """Rows of a table, in no order."""
    return list(await fetch(Statement(f"SELECT * FROM {table} {where}")))


async def count(table: str, where: str = "") -> int:
    """How many rows there are."""
    row = await fetch_one(Statement(f"SELECT COUNT(*) AS number FROM {table} {where}"))
    assert row
    return int(row["number"])


async def everything() -> dict[str, list[str]]:
    """Every row of every table that the service has, to be compared with later. What a request left to write is written."""
    await write_rest_of_marks()
    return {table: sorted(repr(sorted(dict(row).items())) for row in await rows(table)) for table in TABLES}
