"""The fast path of an exchange does what the full path does, in thousands of generated situations, on both databases.

Each situation is arranged and exchanged twice in one database: for a person who takes the fast path wherever it applies,
and for a twin for whom it is switched off. Then the answers, the users, the sessions and the audit log must be equal, when
the letter that tells the twins apart is taken out.
"""

import asyncio
import dataclasses
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from service.accounts import administration
from service.accounts.code_cutoffs import revoke_user_codes
from service.accounts.models import UserRole
from service.accounts.seats import set_seat_limit
from service.accounts.subjects import UserClaim
from service.errors import BadUserInput, Refusal, SignInRefused
from service.external_auth import secrets
from service.external_auth.configuration import update_policy
from service.external_auth.exchange import exchange
from service.external_auth.known_users import Candidate, KnownUsers
from service.external_auth.policy import EmailLinking, Provisioning
from service.instance import Instance
from service.sessions.lifecycle import Client, OpenedSession, end_sessions_of_user, find_session
from service.sessions.models import TokenTransport
from service.sign_in.attempt import SignInResult
from tests.actions import TESTER, add_invited, attempt, code_of, count, enable, rows, set_policy, sign_in, user
from tests.statements import noted_statements

TURNS = 160
PEOPLE = 14
FAST, FULL = "f", "s"
NOON = datetime(2030, 1, 1, 12, 20, tzinfo=UTC)
METADATA: tuple[dict[str, object], ...] = (
    {},
    {"plan": "gold"},
    {"plan": "silver"},
    {"a": 1, "b": [1, {"c": None}]},
    {"b": [1, {"c": None}], "a": 1},
    {"a": True, "b": [1, {"c": None}]},
    {"a": 1.0, "b": [1, {"c": None}]},
    {"name": "Zoë \U0001f600\0"},
    {"deep": [[[[[[[[[[1]]]]]]]]]]},
)
POLICIES: tuple[dict[str, object], ...] = (
    {"require_expiry": True},
    {"require_expiry": False},
    {"max_lifetime_seconds": 600},
    {"max_lifetime_seconds": None},
    {"session_ends_with_code": True},
    {"session_ends_with_code": False},
    {"clock_skew_seconds": 0},
    {"clock_skew_seconds": 60},
    {"issuer": "https://customer.example"},
    {"issuer": None},
    {"audience": "doorcode"},
    {"audience": None},
    {"trust_emails": False},
    {"trust_emails": True},
    {"email_linking": EmailLinking.LINK},
    {"email_linking": EmailLinking.REFUSE},
    {"provisioning": Provisioning.EXISTING_ONLY},
    {"provisioning": Provisioning.CREATE},
    {"groups_member": "teams"},
    {"groups_member": "teams"},
    {"groups_member": None},
)
GROUPS: tuple[object, ...] = (["a"], ["a", "b"], ["b", "a", "a"], [], None, "a", [1], ["x" * 200])


class Twins:
    """The people of both letters, and the steps that are taken for each of them."""

    def __init__(self, instance: Instance, secret: str, random_: random.Random) -> None:
        self.instance = instance
        self.secrets = [secret]
        self.random = random_
        self.tokens: dict[str, dict[int, str]] = {FAST: {}, FULL: {}}
        self.ids: dict[str, dict[int, str]] = {FAST: {}, FULL: {}}
        self.answers: Counter[str] = Counter()
        self.known: Counter[str] = Counter()
        """Of the sign-ins by the fast path: what the users had."""
        self.dependencies = dataclasses.replace(instance.external_auth, sessions_per_user=8)

    def letter_taken_out(self, value: object) -> str:
        """The text of an answer or a row, equal for both twins."""
        text = repr(value)
        for letter, ids in self.ids.items():
            for number, user_id in ids.items():
                text = text.replace(user_id, f"id of {number}") if user_id.startswith("usr_") else text
            text = re.sub(rf"{letter}-(\d+)", r"x-\1", text, flags=re.IGNORECASE)
        return text

    def claims(self, number: int, absent: list[int]) -> Callable[[str], dict[str, Any]]:
        """Return what the code of this person says, for either letter. `absent` may be named: they do nothing meanwhile."""
        choose = self.random
        email = choose.choices(
            ["own", "none", "upper", "new", "malformed", "blank", "other"], [40, 25, 5, 5, 3, 3, 5 if absent else 0]
        )[0]
        other = choose.choice(absent) if absent else 0
        kind = choose.choices(["user", "user by id", "id", "own id", "email", "nothing"], [60, 8, 12, 6, 12, 2])[0]
        metadata = METADATA[number % 7] if choose.random() < 0.85 else choose.choice(METADATA)
        says_verified = choose.choices([{}, {"email_verified": True}, {"email_verified": False}], [8, 2, 1])[0]
        teams = {"teams": GROUPS[number % 3] if choose.random() < 0.85 else choose.choice(GROUPS)}
        groups = teams if choose.random() < 0.6 else {}
        fresh = choose.randrange(10**9)
        registered = self._registered_claims()

        def claims(letter: str) -> dict[str, Any]:
            own_id = self.ids[letter].get(number, f"{letter}-{number}")
            emails = {
                "own": f"{letter}-{number}@example.com",
                "none": None,
                "upper": f" {letter.upper()}-{number}@EXAMPLE.com",
                "new": f"{letter}-{number}@{fresh}.example.com",
                "malformed": f"{letter}-{number}@@example.com",
                "blank": " ",
                "other": f"{letter}-{other}@example.com",
            }
            of_email = {"email": emails[email], **says_verified} if emails[email] is not None else {}
            profile = {**of_email, **groups, **metadata}
            subjects: dict[str, dict[str, Any]] = {
                "user": {"user": {"id": f"{letter}-{number}", **profile}},
                "user by id": {"user": {"id": own_id, **profile}},
                "id": {"id": f"{letter}-{number}"},
                "own id": {"id": own_id},
                "email": {"email": emails[email]},
                "nothing": {},
            }
            return {**subjects[kind], **registered}

        return claims

    def _registered_claims(self) -> dict[str, Any]:
        choose, moment = self.random, datetime.now(UTC).timestamp()
        claims: dict[str, Any] = {}
        if choose.random() < 0.8:
            claims["exp"] = moment + choose.choices([300, 5_000, 30, -30, -400], [20, 2, 2, 2, 1])[0]
        if choose.random() < 0.95:
            claims["iat"] = moment + choose.choices([0, -100, -100_000, 30, 400], [40, 2, 1, 1, 1])[0]
        if choose.random() < 0.7:
            claims["jti"] = str(choose.randrange(4))
        if choose.random() < 0.9:
            claims |= {"iss": "https://customer.example", "aud": ["doorcode", "other"]}
        return claims

    def exchanges(self, number: int, absent: list[int]) -> Callable[[str], Awaitable[object]]:
        """Return an exchange of this person's code, for either letter."""
        choose = self.random
        claims, fault = self.claims(number, absent), choose.choices(["", "signature", "cut"], [95, 3, 2])[0]
        secret = choose.choices(self.secrets, [1] * (len(self.secrets) - 1) + [20])[0]
        with_session = choose.random() < 0.15
        transport = choose.choice([TokenTransport.BEARER, TokenTransport.BEARER, TokenTransport.COOKIE])
        client = choose.choice([Client("192.0.2.1", "tests"), Client(None, None), Client("2001:db8::1", "x" * 300)])
        lifetime = choose.choice([None, None, 60, 10**9])

        async def run(letter: str) -> object:
            said = claims(letter)
            if "jti" in said:
                said["jti"] = f"{letter}-{number} {said['jti']}"
            code = code_of(secret if fault != "signature" else "x" * 43, said)
            token = self.tokens[letter].get(number) if with_session else None
            try:
                result = await exchange(
                    code[:-3] if fault == "cut" else code,
                    await attempt(token, transport, client),
                    self.dependencies,
                    lifetime=lifetime,
                )
            except SignInRefused as refusal:
                return refusal.code, refusal.reason, refusal.cause, refusal.user_id
            self.tokens[letter][number] = result.token
            session = {**_fields(result.session), "user": _row(vars(result.session.user))}
            return session, result.new_user, result.continued, result.token == token

        return run

    def changes(self) -> Callable[[str], Awaitable[object]]:
        """Return what an admin does to one person, for either letter."""
        number = self.random.randrange(PEOPLE)
        what = self.random.choice(
            [
                "deactivate",
                "reactivate",
                "reactivate",
                "delete",
                "promote",
                "demote",
                "email",
                "external id",
                "end",
                "revoke",
                "revoke",
                "access",
                "invite",
            ]
        )
        email = self.random.choice([None, "{}-{}@example.com", "{}-{}@other.example"])
        until = self.random.choice([None, datetime.now(UTC) + timedelta(seconds=self.random.choice([-60, 1, 600]))])

        async def run(letter: str) -> object:
            user_id = self.ids[letter].get(number, f"{letter}-{number}")
            try:
                await self._change(what, letter, number, user_id, email and email.format(letter, number), until)
            except (Refusal, AssertionError) as refused:
                return what, type(refused).__name__
            return what

        return run

    async def _change(
        self, what: str, letter: str, number: int, user_id: str, email: str | None, until: datetime | None
    ) -> None:
        match what:
            case "invite":
                self.ids[letter][number] = (await add_invited(f"{letter}-{number}@example.com", UserRole.MEMBER)).id
            case "promote" | "demote":
                role = UserRole.ADMIN if what == "promote" else UserRole.MEMBER
                await administration.set_role(user_id, role, TESTER)
            case "email":
                await administration.update_user(user_id, TESTER, email=email)
            case "external id":
                await administration.update_user(user_id, TESTER, external_id=f"{letter}-{number}")
            case "delete":
                hashes, revoke_codes = self.dependencies.subject_hashes, number % 2 == 0
                await administration.delete_user(user_id, TESTER, hashes, revoke_codes=revoke_codes)
            case "access":
                await administration.update_user(user_id, TESTER, access_until=until)
            case "revoke":
                await revoke_user_codes(user_id, TESTER, end_sessions=number % 2 == 0)
            case "end":
                await end_sessions_of_user(await user(user_id))
            case _:
                await getattr(administration, f"{what}_user")(user_id, TESTER)

    async def configures(self) -> None:
        """Change something that concerns everyone."""
        choose = self.random
        what = choose.choices(
            ["policy", "relax", "rotate", "switch", "end", "revoke", "seats"], [10, 4, 3, 1, 1, 1, 2]
        )[0]
        if what == "policy":
            await update_policy(choose.choice(POLICIES), TESTER)
        elif what == "relax":
            await set_policy(single_use=choose.random() < 0.2, require_expiry=False, max_lifetime_seconds=None)
        elif what == "rotate":
            made = await secrets.rotate(self.instance.cipher, TESTER, grace_period=choose.choice([0, 0, 600]))
            self.secrets = [*self.secrets[-2:], made.text]
        elif what == "switch":
            await secrets.disable(TESTER, end_sessions=choose.random() < 0.5)
            if choose.random() < 0.8:
                await secrets.enable(self.instance.cipher, TESTER)
        elif what == "revoke":
            await secrets.revoke_all_codes(TESTER, end_sessions=choose.random() < 0.5)
        elif what == "end":
            await secrets.end_code_sessions(TESTER)
        else:
            await set_seat_limit(choose.choice([None, None, 0]), TESTER)
        if not (await rows("external_auth"))[0]["enabled"] and choose.random() < 0.7:
            await secrets.enable(self.instance.cipher, TESTER)


def _fields(value: Any) -> dict[str, object]:
    """The fields of a session, without what is random."""
    return {name: getattr(value, name) for name in value.__slots__ if name not in ("id", "user", "secret_id")}


def _row(values: Any) -> dict[str, object]:
    """A row of a table, or a user, without what is random or counted."""
    left_out = {"id", "serial", "user_serial", "token_hash", "secret_id", "actor", "fold_key", "reference"}
    return {name: value for name, value in dict(values).items() if name not in left_out and not name.startswith("_")}


async def _stored(twins: Twins, letter: str) -> dict[str, list[str]]:
    """What the database holds of the people of this letter."""
    await twins.instance.pending_events.write()
    of_letter = [row for row in await rows("users") if _is_of(twins, letter, row["id"])]
    serials = {row["serial"]: row["id"] for row in of_letter}
    stored: dict[str, list[Any]] = {
        "users": [(row["id"], _row(row)) for row in of_letter],
        "sessions": [
            (serials[row["user_serial"]], _row(row)) for row in await rows("sessions") if row["user_serial"] in serials
        ],
        "group_members": [
            (serials[row["user_serial"]], row["name"])
            for row in await rows("group_members")
            if row["user_serial"] in serials
        ],
        "audit_events": [
            _row(row) for row in await rows("audit_events") if _is_of(twins, letter, row["user_id"] or "")
        ],
    }
    return {table: sorted(twins.letter_taken_out(row) for row in found) for table, found in stored.items()}


def _is_of(twins: Twins, letter: str, user_id: str) -> bool:
    return user_id.startswith(f"{letter}-") or user_id in twins.ids[letter].values()


@pytest.mark.parametrize("seed", range(4))
async def test_both_paths_do_the_same(instance: Instance, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    choose = random.Random(seed)
    taken: Counter[bool] = Counter()
    open_session = KnownUsers.open_session

    async def counted(self: KnownUsers, candidate: Candidate) -> OpenedSession | None:
        opened = await open_session(self, candidate)
        taken[opened is not None] += 1
        if opened is not None:
            person, claim = opened.session.user, candidate.subject
            twins.known["a verified email"] += person.email is not None
            twins.known["a claimed email"] += person.claimed_email is not None
            twins.known["groups of a code"] += person.code_groups != "[]"
            twins.known["groups in the code"] += isinstance(claim, UserClaim) and bool(claim.groups)
            twins.known["a cut-off of codes"] += person.codes_valid_from is not None
        return opened

    monkeypatch.setattr(KnownUsers, "open_session", counted)
    await add_invited("boss@example.com", UserRole.ADMIN)  # the last admin may not be deactivated
    with time_machine.travel(NOON, tick=False) as clock:
        twins = Twins(instance, await enable(instance), choose)
        await update_policy({"groups_member": "teams", "trust_emails": False}, TESTER)
        for turn in range(TURNS):
            kind = choose.choices(["exchange", "change", "configure"], [82, 11, 7])[0]
            if kind == "configure":
                await twins.configures()
                continue
            if kind == "change":
                steps = [twins.changes()]
            else:
                present = choose.sample(range(PEOPLE), choose.choice([1, 1, 2, 4, 8]))
                absent = [number for number in range(PEOPLE) if number not in present]
                steps = [twins.exchanges(number, absent if len(present) == 1 else []) for number in present]
            answers: dict[str, list[str]] = {}
            for letter in (FAST, FULL):
                monkeypatch.setattr(KnownUsers, "enabled", letter == FAST)
                answers[letter] = [
                    twins.letter_taken_out(answer) for answer in await asyncio.gather(*(step(letter) for step in steps))
                ]
            for fast, full in zip(answers[FAST], answers[FULL], strict=True):
                assert fast == full, f"turn {turn}"
            twins.answers.update(answer[:40] for answer in answers[FAST])
            if turn % 10 == 9:
                assert await _stored(twins, FAST) == await _stored(twins, FULL), f"turn {turn}"
            clock.shift(choose.choice([0, 1, 1, 30, 400, 4_000]))
    assert await _stored(twins, FAST) == await _stored(twins, FULL)
    assert taken[True] >= TURNS / 5, "the fast path was hardly taken, so the two were not compared"
    assert taken[False] >= TURNS / 10, "the fast path never gave up, so that was not compared"
    assert len(+twins.known) == len(twins.known), f"not compared: {twins.known}"


def code_for(secret: str, name: str, **claims: object) -> str:
    """A code for a user with metadata, as an application sends it at every page load."""
    return code_of(secret, {"user": {"id": name, "email": f"{name}@example.com", "plan": "gold"}, **claims})


async def _known(instance: Instance, *names: str) -> str:
    """Sign these users in for the first time, and return the secret."""
    secret = await enable(instance)
    for name in names:
        await sign_in(instance, code_for(secret, name))
    return secret


async def test_exchanges_of_one_turn_share_their_statements_and_their_commit(instance: Instance) -> None:
    names = [f"user-{number}" for number in range(6)]
    secret = await _known(instance, *names)
    async with noted_statements() as noted:
        await asyncio.gather(*(sign_in(instance, code_for(secret, name)) for name in names))
    if instance.settings.uses_sqlite:
        assert [statement.split()[0] for statement in noted] == ["SELECT"] * 6 + ["BEGIN"] + ["INSERT"] * 6 + ["COMMIT"]
    else:
        ours = [statement for statement in noted if "typeinfo" not in statement and "jit" not in statement]
        assert [statement.split()[0] for statement in ours] == ["SELECT", "INSERT"]
    assert await count("sessions") == 12


async def test_user_who_comes_several_times_in_one_turn_gets_several_sessions_within_the_bound(
    instance: Instance,
) -> None:
    secret = await _known(instance, "ada", "grace")
    dependencies = dataclasses.replace(instance.external_auth, sessions_per_user=4)
    codes = [code_for(secret, name) for name in ("ada", "ada", "grace", "ada", "ada", "ada", "grace")]
    arrived = await attempt()
    results = await asyncio.gather(*(exchange(code, arrived, dependencies) for code in codes))
    assert len({result.token for result in results}) == 7
    assert [result.session.user.id for result in results if result.session.user.id == "grace"] == ["grace"] * 2
    await exchange(codes[0], arrived, dependencies)
    assert await count("sessions", "WHERE user_serial = (SELECT serial FROM users WHERE id = 'ada')") == 4


async def test_value_that_the_database_refuses_fails_only_its_own_exchange(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await _known(instance, "ada", "grace", "joan")
    clients = [Client("192.0.2.1", "tests"), Client("192.0.2.1", "a NUL \0 in it"), Client("192.0.2.1", "tests")]
    results = await asyncio.gather(
        *(
            sign_in(instance, code_for(secret, name), client=client)
            for name, client in zip(("ada", "grace", "joan"), clients, strict=True)
        ),
        return_exceptions=True,
    )
    assert [isinstance(result, SignInResult) for result in results] == [True, instance.settings.uses_sqlite, True]
    assert results[1] if instance.settings.uses_sqlite else isinstance(results[1], BadUserInput)


async def test_exchanges_that_are_cancelled_leave_nothing_broken(instance: Instance) -> None:
    names = [f"user-{number}" for number in range(4)]
    secret = await _known(instance, *names)
    for steps in range(12):
        tasks = [asyncio.create_task(sign_in(instance, code_for(secret, name))) for name in names]
        for _ in range(steps):
            await asyncio.sleep(0)
        for task in tasks[:2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results[2:]:
            assert isinstance(result, SignInResult), result
            assert await find_session(result.token)


async def test_secret_that_another_process_revokes_works_no_more_at_once(instance: Instance) -> None:
    """This process still knows the configuration with the secret."""
    secret = await _known(instance, "ada", "grace")
    [row] = await rows("jwt_secrets")
    await secrets.revoke(row["id"], TESTER)
    results = await asyncio.gather(
        *(sign_in(instance, code_for(secret, name)) for name in ("ada", "grace")), return_exceptions=True
    )
    assert [isinstance(result, SignInRefused) for result in results] == [True, True]
