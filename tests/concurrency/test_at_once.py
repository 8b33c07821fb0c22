"""Simultaneous requests through several processes: seats, users and codes stay exact, and no request gets a 500.

On PostgreSQL: a server with two workers, and another process. On SQLite: a server, and another process.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from service.accounts import administration
from service.accounts.groups import group_names
from service.accounts.seats import count_seats, set_seat_limit
from service.external_auth.policy import EmailLinking
from service.instance import Instance
from service.invariants import broken_invariants
from tests.actions import HASHES, TESTER, answer_to, code_of, count, enable, member, set_policy, user
from tests.concurrency.other_process import OtherProcess
from tests.processes import Server
from tests.seats import assert_counters_equal_table

EXCHANGE = "mutation($code:String!){exchangeExternalAuthCode(externalAuthCode:$code){... on SessionGrant{newUser}... on SignInError{code}}}"
PATIENCE = 120.0  # seconds; a busy machine is no failure

Start = Callable[..., Server]


@pytest.fixture
def served(server: Start, environ: dict[str, str], instance: Instance) -> Server:
    """With as many workers as the database allows."""
    return server(environ, *([] if instance.settings.uses_sqlite else ["--workers", "2"]))


async def exchange_at(url: str, codes: list[str]) -> list[str]:
    """All at once, each on a connection of its own; what each was answered."""
    limits = httpx2.Limits(max_connections=len(codes), max_keepalive_connections=0)
    async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits) as http:
        sent = [http.post("/graphql", json={"query": EXCHANGE, "variables": {"code": code}}) for code in codes]
        responses = await asyncio.gather(*sent)
    answers = []
    for response in responses:
        assert response.status_code == 200, response.text
        payload = response.json()
        assert "errors" not in payload, payload
        answer = payload["data"]["exchangeExternalAuthCode"]
        answers.append(answer.get("code") or ("new" if answer["newUser"] else "known"))
    return answers


async def through_all(served: Server, other: OtherProcess, codes: list[str], others: list[str]) -> Counter[str]:
    """Through the server and the other process at the same time."""
    other.start(others)
    answers = await exchange_at(served.url, codes)
    return Counter(answers + await asyncio.to_thread(other.answers))


async def test_64_newcomers_for_the_last_seat_are_one_user(
    served: Server, environ: dict[str, str], instance: Instance, tmp_path: Path
) -> None:
    secret = await enable(instance)
    for number in range(3):
        await member(f"{number}@example.com")
    await set_seat_limit(4, TESTER)
    codes = [code_of(secret, {"user": {"id": f"new-{number}"}}) for number in range(64)]
    with OtherProcess(environ, tmp_path) as other:
        answers = await through_all(served, other, codes[:40], codes[40:])

    assert answers == {"new": 1, "SEAT_LIMIT_REACHED": 63}
    assert (await count_seats()).used == 4
    assert await count("users") == 4
    assert await count("sessions") == 1
    await assert_counters_equal_table()


async def test_one_newcomer_32_times_at_once_is_one_user(
    served: Server, environ: dict[str, str], instance: Instance, tmp_path: Path
) -> None:
    secret = await enable(instance)
    await set_seat_limit(1, TESTER)
    code = code_of(secret, {"user": {"id": "crm-42", "email": "ada@example.com", "plan": "gold"}})
    with OtherProcess(environ, tmp_path) as other:
        answers = await through_all(served, other, [code] * 20, [code] * 12)

    assert answers == {"new": 1, "known": 31}
    assert await count("users") == 1
    assert await count("sessions") == 32
    assert await count("audit_events", "WHERE action = 'user.created'") == 1
    await assert_counters_equal_table()


async def test_emails_links_single_use_and_profiles_stay_exact(
    served: Server, environ: dict[str, str], instance: Instance, tmp_path: Path
) -> None:
    secret = await enable(instance)
    with OtherProcess(environ, tmp_path) as other:
        await _one_email_for_many_ids(served, other, secret)
        await _many_ids_that_would_link_one_user(served, other, secret)
        await _one_address_that_two_users_want(served, other, secret, instance)
        await _code_for_one_use(served, other, secret)
    await assert_counters_equal_table()


async def _one_email_for_many_ids(served: Server, other: OtherProcess, secret: str) -> None:
    codes = [code_of(secret, {"user": {"id": f"e{number}", "email": "a@example.com"}}) for number in range(24)]
    assert await through_all(served, other, codes[:16], codes[16:]) == {"new": 1, "EMAIL_TAKEN": 23}


async def _many_ids_that_would_link_one_user(served: Server, other: OtherProcess, secret: str) -> None:
    await set_policy(email_linking=EmailLinking.LINK)
    grace = await member("grace@example.com")
    codes = [code_of(secret, {"user": {"id": f"l{number}", "email": "grace@example.com"}}) for number in range(24)]
    assert await through_all(served, other, codes[:16], codes[16:]) == {"known": 1, "EMAIL_TAKEN": 23}
    assert str((await user(grace.id)).external_id).startswith("l")


async def _one_address_that_two_users_want(
    served: Server, other: OtherProcess, secret: str, instance: Instance
) -> None:
    """Repeated: one request gets it, and no request a 500."""
    for name in ("a", "b"):
        assert await answer_to(instance, code_of(secret, {"user": {"id": name}})) is None
    codes = [
        code_of(secret, {"user": {"id": name, "email": "wanted@example.com", "n": number}})
        for number in range(12)
        for name in ("a", "b")
    ]
    assert await through_all(served, other, codes[:16], codes[16:]) == {"known": 24}
    assert sorted([(await user("a")).email, (await user("b")).email], key=str) == [None, "wanted@example.com"]


async def _code_for_one_use(served: Server, other: OtherProcess, secret: str) -> None:
    await set_policy(single_use=True)
    before = await count("sessions")
    code = code_of(secret, {"user": {"id": "once"}, "exp": int(time.time()) + 3600, "jti": "1"})
    answers = await through_all(served, other, [code] * 16, [code] * 8)
    assert answers == {"new": 1, "CODE_ALREADY_USED": 23}
    assert await count("sessions") == before + 1


async def test_administrators_and_newcomers_at_once_leave_the_counters_right(
    served: Server, environ: dict[str, str], instance: Instance, tmp_path: Path
) -> None:
    """Deactivate, reactivate, delete and lower the limit, while users sign in through every process."""
    secret = await enable(instance)
    await set_seat_limit(30, TESTER)
    people = [await member(f"{number}@example.com") for number in range(10)]
    codes = [code_of(secret, {"user": {"id": f"new-{number}"}}) for number in range(40)]

    async def administer() -> None:
        for number, person in enumerate(people):
            await administration.deactivate_user(person.id, TESTER)
            if number % 2:
                await administration.delete_user(person.id, TESTER, HASHES)
            else:
                await asyncio.gather(administration.reactivate_user(person.id, TESTER), return_exceptions=True)

    with OtherProcess(environ, tmp_path) as other:
        answers, _ = await asyncio.gather(through_all(served, other, codes[:24], codes[24:]), administer())
    assert set(answers) <= {"new", "SEAT_LIMIT_REACHED"}
    assert (await count_seats()).used <= 30
    await assert_counters_equal_table()


async def test_groups_of_codes_that_come_at_once_leave_true_counts(
    served: Server, environ: dict[str, str], instance: Instance, tmp_path: Path
) -> None:
    secret = await enable(instance)
    await set_policy(groups_member="groups")
    choices = [["a"], ["b"], ["a", "b"], [], ["c", "a"]]
    codes = [
        code_of(secret, {"user": {"id": f"crm-{number % 3}", "groups": choices[number % 5]}}) for number in range(45)
    ]
    with OtherProcess(environ, tmp_path) as other:
        answers = await through_all(served, other, codes[:25], codes[25:])

    assert answers == {"new": 3, "known": 42}
    assert [line async for line in broken_invariants(instance.cipher)] == []
    for person in [await user(f"crm-{number}") for number in range(3)]:
        assert group_names(person) in [sorted(names) for names in choices]


async def test_codes_that_verify_one_address_at_once_give_it_to_one_user(
    served: Server, environ: dict[str, str], instance: Instance, tmp_path: Path
) -> None:
    secret = await enable(instance)
    codes = [
        code_of(
            secret, {"user": {"id": f"crm-{number}", "email": "ada@example.com", "email_verified": number % 2 == 0}}
        )
        for number in range(40)
    ]
    with OtherProcess(environ, tmp_path) as other:
        answers = await through_all(served, other, codes[:25], codes[25:])

    assert answers == {"new": 21, "EMAIL_TAKEN": 19}
    assert await count("users", "WHERE email = 'ada@example.com'") == 1
    assert await count("users", "WHERE claimed_email = 'ada@example.com'") == 20
