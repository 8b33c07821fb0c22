"""Groups: from codes and from admins, kept apart, counted in the transaction that changes them (contract §3)."""

import asyncio
import itertools
import json
import unicodedata
from typing import Any

import jwt
import pytest

from service.accounts import administration
from service.accounts.directory import MetadataMember, UserFilter, UserOrder, count_users, list_users
from service.accounts.groups import group_names, groups_of, list_groups, parse_group_names, set_user_groups
from service.accounts.models import GroupSource, UserRole
from service.audit.log import Actor
from service.audit.models import AuditEvent
from service.errors import BadUserInput, Forbidden, NotFound
from service.external_auth.configuration import update_policy
from service.external_auth.inspection import inspect
from service.external_auth.policy import EmailLinking
from service.instance import Instance
from service.paging import Slice
from service.refusal_texts import SignInErrorCode
from service.sessions.access_tokens import issue_access_token
from tests.actions import (
    HASHES,
    TESTER,
    admin,
    answer_to,
    code_of,
    count,
    enable,
    everything,
    member,
    refusal_of,
    rows,
    set_policy,
    sign_in,
    user,
)
from tests.statements import noted_statements

ODD: list[Any] = [
    42,
    True,
    {},
    {"a": 1},
    [1],
    [None],
    [["a"]],
    ["a", ""],
    "",
    "x" * 129,
    ["x" * 129],
    ["a"] * 65,
    ["a\0"],
    ["\ud800"],
    ["a\n"],
]


def claims_of(groups: object, user_id: str = "crm-42", **members: Any) -> dict[str, Any]:
    return {"user": {"id": user_id, "groups": groups, **members}}


async def with_groups(instance: Instance) -> str:
    secret = await enable(instance)
    await set_policy(groups_member="groups")
    return secret


async def names_of(user_id: str = "crm-42") -> list[tuple[str, str]]:
    return [(name, source.value) for name, source in groups_of(await user(user_id))]


async def counted() -> dict[str, int]:
    """What the counters say; they always equal what a count would find."""
    found = {row["name"]: row["member_count"] for row in await rows("user_groups")}
    people = {row["serial"]: row for row in await rows("users")}
    expected: dict[str, int] = {}
    members = {(row["name"], row["user_serial"]) for row in await rows("group_members")}
    for name, serial in members:
        expected[name] = expected.get(name, 0) + (people[serial]["status"] == "ACTIVE")
    assert found == expected
    stored = {
        (name, serial)
        for serial, row in people.items()
        for column in ("code_groups", "admin_groups")
        for name in json.loads(row[column])
    }
    assert stored == members
    return found


# ---------------------------------------------------------------- from codes


async def test_member_is_metadata_until_the_policy_names_it(instance: Instance) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, claims_of(["staff"])))
    assert json.loads((await user("crm-42")).metadata) == {"groups": ["staff"]}
    assert await names_of() == []
    await set_policy(groups_member="groups")
    await sign_in(instance, code_of(secret, claims_of(["staff"], plan="gold")))
    assert json.loads((await user("crm-42")).metadata) == {"plan": "gold"}
    assert await names_of() == [("staff", "CODE")]


async def test_member_of_any_name_holds_the_groups(instance: Instance) -> None:
    secret = await enable(instance)
    await set_policy(groups_member="https://example.com/roles")
    await sign_in(instance, code_of(secret, {"user": {"id": "a", "https://example.com/roles": ["x"], "groups": ["y"]}}))
    assert await names_of("a") == [("x", "CODE")]
    assert json.loads((await user("a")).metadata) == {"groups": ["y"]}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["b", "a", "b"], ["a", "b"]),
        ("staff", ["staff"]),
        ([], []),
        (["e\u0301", "\u00e9"], ["\u00e9"]),
        (["Staff", "staff"], ["Staff", "staff"]),
        ([" a ", "a,b", "a/b", "\U0001f600" * 128], [" a ", "a,b", "a/b", "\U0001f600" * 128]),
        ([f"{n:02}" for n in range(64)], [f"{n:02}" for n in range(64)]),
    ],
)
async def test_groups_are_strings_in_nfc_compared_exactly(instance: Instance, given: object, names: list[str]) -> None:
    secret = await with_groups(instance)
    await sign_in(instance, code_of(secret, claims_of(given)))
    assert group_names(await user("crm-42")) == names
    assert all(unicodedata.is_normalized("NFC", name) for name in names)
    assert await counted() == dict.fromkeys(names, 1)


@pytest.mark.parametrize("given", ODD, ids=lambda value: ascii(value)[:14])
async def test_anything_else_is_invalid_for_new_and_known_users(instance: Instance, given: object) -> None:
    secret = await with_groups(instance)
    await sign_in(instance, code_of(secret, claims_of(["staff"], "known")))
    before = await rows("users")
    for user_id in ("new", "known"):
        refused = await refusal_of(instance, code_of(secret, claims_of(given, user_id)))
        assert refused.code is SignInErrorCode.INVALID_CLAIMS
        assert "user.groups" in (refused.reason or "")
    assert await rows("users") == before


@pytest.mark.parametrize("members", [{}, {"groups": None}])
async def test_absent_or_null_member_changes_nothing_and_an_empty_array_removes(
    instance: Instance, members: dict[str, Any]
) -> None:
    secret = await with_groups(instance)
    await sign_in(instance, code_of(secret, claims_of(["a", "b"])))
    await set_user_groups("crm-42", ["b", "c"], TESTER)
    await sign_in(instance, code_of(secret, {"user": {"id": "crm-42", "plan": "gold", **members}}))
    assert await names_of() == [("a", "CODE"), ("b", "ADMIN"), ("b", "CODE"), ("c", "ADMIN")]
    assert await counted() == {"a": 1, "b": 1, "c": 1}
    await sign_in(instance, code_of(secret, claims_of([])))
    assert await names_of() == [("b", "ADMIN"), ("c", "ADMIN")]
    assert await counted() == {"b": 1, "c": 1}


async def test_code_changes_no_admin_s_groups_and_no_group_gives_rights(instance: Instance) -> None:
    secret = await with_groups(instance)
    await sign_in(instance, code_of(secret, claims_of(["a"])))
    await administration.update_user("crm-42", TESTER, email="boss@example.com")
    await administration.set_role("crm-42", UserRole.ADMIN, TESTER)
    for groups in (["a", "ADMIN"], []):
        await sign_in(instance, code_of(secret, claims_of(groups)))
    assert await names_of() == [("a", "CODE")]
    [event] = await AuditEvent.filter(action="admin.profile_kept")
    assert (event.user_id, event.count) == ("crm-42", 2)
    other = await sign_in(instance, code_of(secret, claims_of(["ADMIN", "admin"], "crm-43")))
    assert not other.session.has_admin_rights
    assert other.session.user.role is UserRole.MEMBER


async def test_linked_user_joins_the_groups_of_the_code(instance: Instance) -> None:
    secret = await with_groups(instance)
    await set_policy(email_linking=EmailLinking.LINK)
    ada = await member("ada@example.com")
    await set_user_groups(ada.id, ["b"], TESTER)
    await sign_in(instance, code_of(secret, claims_of(["a"], "crm-1", email="ada@example.com")))
    assert await names_of(ada.id) == [("a", "CODE"), ("b", "ADMIN")]


async def test_exchange_with_unchanged_groups_costs_one_read_and_one_write(instance: Instance) -> None:
    secret = await with_groups(instance)
    await sign_in(instance, code_of(secret, claims_of(["b", "a"], plan="gold")))
    for groups in (["a", "b"], ["b", "a", "b"]):
        async with noted_statements() as noted:
            await sign_in(instance, code_of(secret, claims_of(groups, plan="gold")))
        assert (len(noted.reads), len(noted.writes), len(noted)) == (1, 1, 2), noted


# ---------------------------------------------------------------- from admins


async def test_admin_s_groups_are_replaced_and_recorded(instance: Instance) -> None:
    ada = await member("ada@example.com")
    await set_user_groups(ada.id, ["b", "a"], TESTER)
    await set_user_groups(ada.id, ["b", "a"], TESTER)
    await set_user_groups(ada.id, ["c", "a"], TESTER)
    assert await names_of(ada.id) == [("a", "ADMIN"), ("c", "ADMIN")]
    events = await AuditEvent.filter(action="user.groups_set").order_by("id")
    assert [json.loads(event.detail) for event in events] == [
        {"source": "ADMIN", "joined": ["a", "b"], "left": []},
        {"source": "ADMIN", "joined": ["c"], "left": ["b"]},
    ]
    assert await counted() == {"a": 1, "c": 1}


@pytest.mark.parametrize("names", [[""], ["x" * 129], ["a"] * 65, ["a\0"]], ids=lambda value: ascii(value)[:14])
async def test_names_that_are_not_valid_are_refused(instance: Instance, names: list[str]) -> None:
    ada = await member("ada@example.com")
    before = await everything()
    with pytest.raises(BadUserInput, match="`names`"):
        await set_user_groups(ada.id, names, TESTER)
    with pytest.raises(NotFound):
        await set_user_groups("nobody", [], TESTER)
    assert await everything() == before


async def test_groups_of_an_admin_are_set_by_an_admin_in_person(instance: Instance) -> None:
    boss = await admin()
    with pytest.raises(Forbidden):
        await set_user_groups(boss.id, ["a"], Actor.of_api_key("key", None))
    await set_user_groups(boss.id, ["a"], TESTER)
    assert await names_of(boss.id) == [("a", "ADMIN")]


@pytest.mark.parametrize("member_name", ["id", "email", "email_verified", "", "a\n", "x" * 256, 1])
async def test_member_with_a_meaning_of_its_own_is_refused(instance: Instance, member_name: object) -> None:
    with pytest.raises(BadUserInput, match="groupsMember"):
        await update_policy({"groups_member": member_name}, TESTER)


# ---------------------------------------------------------------- counts, lists and filters


async def test_members_are_counted_while_they_are_active(instance: Instance) -> None:
    secret = await with_groups(instance)
    for number in range(3):
        await sign_in(instance, code_of(secret, claims_of(["all", f"g{number}"], f"crm-{number}")))
    assert await counted() == {"all": 3, "g0": 1, "g1": 1, "g2": 1}
    await administration.deactivate_user("crm-0", TESTER)
    assert await counted() == {"all": 2, "g0": 0, "g1": 1, "g2": 1}
    await set_user_groups("crm-0", ["late"], TESTER)
    assert (await counted())["late"] == 0
    await administration.reactivate_user("crm-0", TESTER)
    assert await counted() == {"all": 3, "g0": 1, "g1": 1, "g2": 1, "late": 1}
    await administration.deactivate_user("crm-0", TESTER)
    await administration.delete_user("crm-0", TESTER, HASHES)
    await administration.delete_user("crm-1", TESTER, HASHES)
    assert await counted() == {"all": 1, "g2": 1}


async def test_groups_are_listed_by_the_bytes_of_their_names(instance: Instance) -> None:
    ada = await member("ada@example.com")
    names = ["a", "B", "b", "_", "\u00e9", "A"]
    await set_user_groups(ada.id, names, TESTER)
    listing = list_groups()
    first = await listing.page(Slice(first=4))
    rest = await listing.page(Slice(first=4, after=listing.cursor(first.rows[-1])))
    assert [row["name"] for row in (*first.rows, *rest.rows)] == sorted(names)
    assert await listing.count() == 6


async def found(**wanted: Any) -> list[str]:
    filters = UserFilter(**wanted)
    listing = list_users(filters, UserOrder.CREATED_AT_ASC)
    names = [str(row["id"]) for row in (await listing.page(Slice())).rows]
    assert await count_users(filters, listing) == len(names)
    return names


async def test_users_are_found_by_group(instance: Instance) -> None:
    secret = await with_groups(instance)
    await sign_in(instance, code_of(secret, claims_of(["a", "\u00e9"], "crm-1")))
    await sign_in(instance, code_of(secret, claims_of("A", "crm-2")))
    await set_user_groups("crm-2", ["a"], TESTER)
    assert await found(group="a") == ["crm-1", "crm-2"]
    assert await found(group="A") == ["crm-2"]
    assert await found(group="e\u0301") == ["crm-1"]
    assert await found(group="%") == []
    with pytest.raises(BadUserInput, match=r"filter\.group"):
        await found(group="")


METADATA: dict[str, dict[str, Any]] = {
    "gold": {"plan": "gold", "n": 1},
    "nested": {"a": {"plan": "gold"}, "b": [{"plan": "gold"}], "plan": "silver"},
    "float": {"n": 1.0, "plan": "gold,"},
    "yes": {"n": True, "plan": None},
    "text": {"n": "1", 'x"plan': "gold", "text": ',"plan":"gold",'},
    "large": {"n": 2**70, "plan": ""},
    "odd": {"": "\0", "\u00e9,": "e\u0301", "plan": "Gold"},
    "empty": {},
}


@pytest.mark.parametrize(
    ("name", "value", "ids"),
    [
        ("plan", "gold", ["gold"]),
        ("plan", "silver", ["nested"]),
        ("plan", "gold,", ["float"]),
        ("plan", None, ["yes"]),
        ("plan", "", ["large"]),
        ("plan", "Gold", ["odd"]),
        ("plan", "%", []),
        ("n", 1, ["gold"]),
        ("n", 1.0, ["float"]),
        ("n", True, ["yes"]),
        ("n", "1", ["text"]),
        ("n", 2**70, ["large"]),
        ('x"plan', "gold", ["text"]),
        ("", "\0", ["odd"]),
        ("\u00e9,", "e\u0301", ["odd"]),
        ("missing", None, []),
    ],
)
async def test_users_are_found_by_one_member_of_their_metadata(
    instance: Instance, name: str, value: Any, ids: list[str]
) -> None:
    secret = await enable(instance)
    for user_id, metadata in METADATA.items():
        await sign_in(instance, code_of(secret, {"user": {"id": user_id, **metadata}}))
    assert await found(metadata=MetadataMember(name, value)) == ids


@pytest.mark.parametrize("value", [[], {}, ["gold"], "\ud800"])
async def test_only_a_scalar_is_looked_for(instance: Instance, value: object) -> None:
    with pytest.raises(BadUserInput, match=r"filter\.metadata"):
        await found(metadata=MetadataMember("plan", value))


# ---------------------------------------------------------------- inspection


async def test_inspection_says_which_groups_the_user_joins_and_leaves(instance: Instance) -> None:
    secret = await with_groups(instance)

    async def told(groups: object) -> tuple[str, str]:
        details = {
            c.name: c.detail for c in (await inspect(code_of(secret, claims_of(groups)), instance.external_auth)).checks
        }
        return details["claims"], details["user"]

    assert await told(["b", "a"]) == (
        "user with the ID 'crm-42', email none, no metadata, groups: a, b.",
        "Unknown: creates the user 'crm-42'. The user joins a, b.",
    )
    await sign_in(instance, code_of(secret, claims_of(["a", "b"])))
    assert (await told(["a", "c d"]))[1] == "Known: the user 'crm-42'. The user joins 'c d', leaves b."
    assert (await told([]))[1] == "Known: the user 'crm-42'. The user leaves a, b."
    assert (await told(["a", "b"]))[1] == (await told(None))[1] == "Known: the user 'crm-42'."
    assert "groups: none" in (await told([]))[0]


# ---------------------------------------------------------------- tokens


async def test_access_token_carries_the_groups_and_the_shared_metadata_of_now(instance: Instance) -> None:
    secret = await with_groups(instance)
    result = await sign_in(instance, code_of(secret, claims_of(["b", "a"], plan="gold", secret="s", seats=3)))

    async def claims(*shared: str) -> dict[str, Any]:
        token = await issue_access_token(result.session, instance.settings, instance.cipher, shared_metadata=shared)
        decoded: dict[str, Any] = jwt.decode(token.token, options={"verify_signature": False})
        return {name: decoded[name] for name in decoded if name.startswith(("groups", "metadata"))}

    assert await claims() == {"groups": ["a", "b"]}
    assert await claims("plan", "seats", "missing") == {"groups": ["a", "b"], "metadata": {"plan": "gold", "seats": 3}}
    result.session.user.metadata = json.dumps({"plan": "\u00e9" * 1_018})
    assert (await claims("plan"))["metadata"] == {"plan": "\u00e9" * 1_018}
    result.session.user.metadata = json.dumps({"plan": "\u00e9" * 1_019})
    assert await claims("plan") == {"groups": ["a", "b"], "metadata_truncated": True}
    result.session.user.code_groups = json.dumps([f"{n:02}" for n in range(50)])
    assert await claims() == {"groups": [f"{n:02}" for n in range(50)]}
    result.session.user.admin_groups = json.dumps(["99"])
    assert await claims() == {"groups": [f"{n:02}" for n in range(50)], "groups_truncated": True}


@pytest.mark.parametrize(
    "names", [["a b"], [""], ["x" * 65], ["\u00e9"], ["a\n"], [1], "plan", [f"{n}" for n in range(65)]]
)
async def test_names_of_shared_metadata_are_plain(instance: Instance, names: object) -> None:
    if isinstance(names, str):
        names = {"plan": True}
    with pytest.raises(BadUserInput, match="sharedMetadata"):
        await update_policy({"shared_metadata": names}, TESTER)
    await update_policy({"shared_metadata": ["plan", "A-z_9", "plan"]}, TESTER)
    policy = (await instance.external_auth.configuration_cache.current()).policy
    assert policy.shared_metadata == ("plan", "A-z_9")
    await update_policy({"shared_metadata": []}, TESTER)
    assert (await instance.external_auth.configuration_cache.current()).policy.shared_metadata == ()


# ---------------------------------------------------------------- at once


async def test_two_codes_and_an_admin_at_once_leave_true_counts(instance: Instance) -> None:
    secret = await with_groups(instance)
    people = [f"crm-{number}" for number in range(3)]
    for person in people:
        await sign_in(instance, code_of(secret, claims_of([], person)))
    choices = [["a"], ["b"], ["a", "b"], []]
    codes = [code_of(secret, claims_of(groups, person)) for person, groups in itertools.product(people, choices)]
    changes = [set_user_groups(person, groups, TESTER) for person, groups in itertools.product(people, choices)]
    answers = await asyncio.gather(
        *(answer_to(instance, code) for code in codes),
        *changes,
        administration.deactivate_user("crm-0", TESTER),
    )
    assert set(answers[: len(codes)]) <= {None, SignInErrorCode.USER_DEACTIVATED}
    await counted()
    assert await count("user_groups") <= 2


def test_names_are_parsed_to_an_ordered_set() -> None:
    assert parse_group_names(["b", "a", "b"]) == ("a", "b")
    assert parse_group_names("a") == ("a",)
    assert [source.value for source in GroupSource] == ["CODE", "ADMIN"]
