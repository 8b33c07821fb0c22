"""The list of users: filters, search, orders, and pages that stay right while rows come and go."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import time_machine
from tortoise.connection import get_connection

from service.accounts import administration
from service.accounts.directory import UserFilter, UserOrder, count_users, list_users
from service.accounts.models import UserOrigin, UserRole, UserStatus
from service.database import Statement, as_time, fetch, on_sqlite, write
from service.database.connection import ALIAS
from service.errors import BadUserInput
from service.external_auth.secrets import current_secret
from service.instance import Instance
from service.paging import Listing, Page, Slice
from tests.actions import HASHES, TESTER, code_of, enable, member, sign_in
from tests.statements import noted_statements

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
ALL_USERS = UserFilter()


def ids(page: Page) -> list[str]:
    return [str(row["id"]) for row in page.rows]


async def found(**wanted: Any) -> set[str]:
    """The ids of all users that a filter lets through."""
    return set(ids(await list_users(UserFilter(**wanted), UserOrder.CREATED_AT_DESC).page(Slice(first=200))))


async def make(instance: Instance, *people: dict[str, object]) -> None:
    """Users by code, a second apart, the first one at noon."""
    made = await current_secret(instance.cipher)
    secret = made.text if made else await enable(instance)
    with time_machine.travel(NOON, tick=False) as clock:
        for person in people:
            await sign_in(instance, code_of(secret, {"user": person}))
            clock.shift(1)


# ---------------------------------------------------------------- filters


async def test_conditions_hold_together(instance: Instance) -> None:
    await make(instance, {"id": "a", "email": "a@example.com"}, {"id": "b"}, {"id": "c"})
    with time_machine.travel(NOON + timedelta(hours=1)):
        grace = await member("grace@example.com")
    await administration.update_user("b", TESTER, external_id="crm-b")
    await administration.deactivate_user("c", TESTER)
    await administration.set_role("a", UserRole.ADMIN, TESTER)

    assert await found() == {"a", "b", "c", grace.id}
    assert await found(origin=UserOrigin.EXTERNAL_JWT) == {"a", "b", "c"}
    assert await found(origin=UserOrigin.EMAIL) == set()
    assert await found(status=UserStatus.DEACTIVATED) == {"c"}
    assert await found(role=UserRole.ADMIN) == {"a"}
    assert await found(email=" GRACE@example.com ") == {grace.id}
    assert await found(external_id="crm-b") == {"b"}
    assert await found(external_id="b") == set()
    assert await found(origin=UserOrigin.EXTERNAL_JWT, status=UserStatus.ACTIVE, role=UserRole.MEMBER) == {"b"}
    assert await found(created_after=NOON, created_before=NOON + timedelta(seconds=2)) == {"b"}
    zone = timezone(timedelta(hours=9))
    assert await found(created_before=(NOON + timedelta(seconds=1)).astimezone(zone)) == {"a"}


async def test_filter_by_what_is_no_email_is_bad_input(instance: Instance) -> None:
    with pytest.raises(BadUserInput, match=r"filter\.email"):
        await found(email="no email")


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("ada", {"1", "crm-ada", "3"}),
        ("ADA", {"1", "crm-ada", "3"}),
        ("a@ex", {"1"}),
        ("love", {"2"}),
        ("-ada", {"crm-ada"}),
        ("ex-", {"2"}),
        ("\u00d6rg", {"4"}),
        ("\u00f6RG", {"4"}),
        ("\u03a3\u03a3\u03a3", {"5"}),
        ("\u03c3\u03c3\u03c2", {"5"}),
        ("\u03b1\u03a3\u03a3", {"5"}),
        ("STRASSE", {"6"}),
        ("stra\u00dfe", {"6"}),
        ("%", set()),
        ("%%%", set()),
        ("00%", {"100%"}),
        ("0%0", set()),
        ("_d_", set()),
        ("under_s", {"under_score"}),
        ("under.s", set()),
        ("!ex", {"ex!ex"}),
        ("x!e", {"ex!ex"}),
        ("'; --", set()),
        ("\\", set()),
        ("ad", {"1", "3"}),
        ("cr", {"crm-ada", "2"}),
        ("da", set()),
        ("2", {"2"}),
        ("", None),
        ("nothing like it", set()),
    ],
)
async def test_search_looks_anywhere_and_with_under_three_characters_from_the_start(
    instance: Instance, search: str, expected: set[str] | None
) -> None:
    await make(
        instance,
        {"id": "1", "email": "ada@example.com"},
        {"id": "crm-ada"},
        {"id": "2", "email": "love@else.com"},
        {"id": "3", "email": "adam@x.com"},
        {"id": "4", "email": "j\u00f6rg@x.com"},
        {"id": "5", "email": "5@x.com"},
        {"id": "6", "email": "stra\u00dfe@x.com"},
        {"id": "100%"},
        {"id": "under_score"},
        {"id": "ex!ex"},
    )
    await administration.update_user("2", TESTER, external_id="crm-EX-2")
    await administration.update_user("5", TESTER, external_id="\u0391\u03a3\u03a3\u03a3\u03a3")
    all_ids = {"1", "crm-ada", "2", "3", "4", "5", "6", "100%", "under_score", "ex!ex"}
    wanted = all_ids if expected is None else expected
    assert await found(search=search) == wanted


async def test_search_finds_what_was_changed_since(instance: Instance) -> None:
    await make(instance, {"id": "a", "email": "before@example.com"})
    await make(instance, {"id": "a", "email": "after@example.com"})
    assert await found(search="before") == set()
    assert await found(search="after") == {"a"}
    await administration.update_user("a", TESTER, email=None)
    assert await found(search="after") == set()


@pytest.mark.parametrize("search", ["münchen", "MÜNCHEN.test", "@mün", "xn--mnchen", "user@xn--mnchen-3ya.test"])
async def test_search_finds_an_address_by_either_form_of_its_domain(instance: Instance, search: str) -> None:
    await make(instance, {"id": "idn", "email": "user@münchen.test"}, {"id": "other", "email": "user@example.test"})
    assert await found(search=search) == {"idn"}


async def test_search_that_is_too_long_is_bad_input(instance: Instance) -> None:
    assert await found(search="x" * 255) == set()
    with pytest.raises(BadUserInput):
        await found(search="x" * 256)


@pytest.mark.parametrize("search", ["\0", "a\0b", "abc\0", "\n", "a\nb", "\ud800"])
async def test_search_for_what_no_id_can_hold_is_bad_input(instance: Instance, search: str) -> None:
    with pytest.raises(BadUserInput, match=r"filter\.search"):
        await found(search=search)


# ---------------------------------------------------------------- orders


async def _varied(instance: Instance) -> None:
    """Ties and nulls in every column that can be ordered by."""
    await make(
        instance,
        {"id": "d", "email": "d@example.com"},
        {"id": "b"},
        {"id": "C", "email": "c@example.com"},
        {"id": "a"},
        {"id": "e", "email": "B@example.com"},
        {"id": "\u00e9"},
    )
    grace, ada = await member("grace@example.com"), await member("ada@example.com")
    for number, person in enumerate((grace, ada)):
        await write(Statement("UPDATE users SET id = $1 WHERE serial = $2"), f"n{number}", person.serial)
    same = Statement("UPDATE users SET created_at = $1 WHERE id IN ('a', 'b', 'C', 'n0')")
    await write(same, NOON + timedelta(seconds=2, microseconds=5))
    await write(Statement("UPDATE users SET created_at = $1 WHERE id = 'n1'"), NOON - timedelta(days=1))
    await write(Statement("UPDATE users SET last_seen_at = $1 WHERE id IN ('C', 'e')"), NOON + timedelta(hours=2))


ORDERED = {
    UserOrder.CREATED_AT_DESC: ["\u00e9", "e", "C", "a", "b", "n0", "d", "n1"],
    UserOrder.CREATED_AT_ASC: ["n1", "d", "C", "a", "b", "n0", "e", "\u00e9"],
    UserOrder.LAST_SEEN_AT_DESC: ["C", "e", "a", "b", "d", "\u00e9", "n0", "n1"],
    UserOrder.EMAIL_ASC: ["n1", "e", "C", "d", "n0", "a", "b", "\u00e9"],
}


async def _walk(listing: Listing, size: int, *, backwards: bool) -> list[str]:
    """Page by page to the end, by what `pageInfo` says."""
    walked: list[str] = []
    cursor = None
    while True:
        wanted = Slice(last=size, before=cursor) if backwards else Slice(first=size, after=cursor)
        page = await listing.page(wanted)
        assert len(page.rows) <= size
        walked = ids(page) + walked if backwards else walked + ids(page)
        before_it, behind_it = await page.has_previous(), await page.has_next()
        assert (behind_it if backwards else before_it) is (cursor is not None)
        if not (before_it if backwards else behind_it):
            return walked
        cursor = listing.cursor(page.rows[0] if backwards else page.rows[-1])


async def test_page_in_the_order_of_emails_is_read_from_the_index_of_shown_emails(instance: Instance) -> None:
    await _varied(instance)
    async with noted_statements() as noted:
        await list_users(ALL_USERS, UserOrder.EMAIL_ASC).page(Slice(first=2))
    if not on_sqlite():
        connection: Any = get_connection(ALIAS)
        await connection.execute_script("SET enable_seqscan = off")
    [page] = noted.reads
    plan = await fetch(Statement(f"EXPLAIN {'QUERY PLAN ' if on_sqlite() else ''}{page}"))
    text = str([tuple(row[name] for name in row.keys()) for row in plan])  # noqa: SIM118 - rows of SQLite iterate values
    assert "users_by_shown_email" in text
    assert "sort" not in text.lower()
    assert "TEMP B-TREE" not in text


@pytest.mark.parametrize("order", UserOrder)
async def test_every_order_puts_nulls_last_and_breaks_ties_by_id_forward_and_back(
    instance: Instance, order: UserOrder
) -> None:
    await _varied(instance)
    listing = list_users(ALL_USERS, order)
    for size in (1, 2, 3, 7, 8, 9, 200):
        assert await _walk(listing, size, backwards=False) == ORDERED[order]
        assert await _walk(listing, size, backwards=True) == ORDERED[order]


@pytest.mark.parametrize("order", UserOrder)
async def test_slices_between_two_cursors(instance: Instance, order: UserOrder) -> None:
    await _varied(instance)
    listing = list_users(ALL_USERS, order)
    all_users = await listing.page(Slice())
    cursors = [listing.cursor(row) for row in all_users.rows]
    for start in range(8):
        for end in range(start + 1, 8):
            inside = ORDERED[order][start + 1 : end]
            for size in (0, 1, 3, 10):
                first = await listing.page(Slice(first=size, after=cursors[start], before=cursors[end]))
                last = await listing.page(Slice(last=size, after=cursors[start], before=cursors[end]))
                assert ids(first) == inside[:size]
                assert ids(last) == (inside[-size:] if size else [])
                if inside and size:
                    assert await first.has_next()
                    assert await first.has_previous()
                    assert await last.has_next()
                    assert await last.has_previous()


@pytest.mark.parametrize("order", UserOrder)
async def test_cursors_stay_good_while_rows_come_and_go(instance: Instance, order: UserOrder) -> None:
    await _varied(instance)
    listing = list_users(ALL_USERS, order)
    first = await listing.page(Slice(first=4))
    cursor = listing.cursor(first.rows[-1])
    gone = ORDERED[order][3]
    await administration.delete_user(gone, TESTER, HASHES)
    await administration.delete_user(ORDERED[order][0], TESTER, HASHES)
    await make(instance, {"id": "zz-new", "email": "000@example.com"})
    await write(Statement("UPDATE users SET created_at = $1, last_seen_at = $1 WHERE id = 'zz-new'"), _ahead_of(order))

    rest = await listing.page(Slice(first=10, after=cursor))
    assert ids(rest) == ORDERED[order][4:]
    before = await listing.page(Slice(last=10, before=cursor))
    assert ids(before) == ["zz-new", *ORDERED[order][1:3]]


@pytest.mark.parametrize("order", UserOrder)
async def test_cursors_of_earlier_versions_stay_good(instance: Instance, order: UserOrder) -> None:
    """They had the time as Python writes it, on SQLite too."""
    await _varied(instance)
    listing = list_users(ALL_USERS, order)
    rows = (await listing.page(Slice())).rows
    for number, row in enumerate(rows):
        value: Any = row[listing.order.column]
        if listing.order.is_time and value is not None:
            value = as_time(value).isoformat()
        text = json.dumps([listing.order.name, value, row["id"]], separators=(",", ":"))
        old = base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
        assert ids(await listing.page(Slice(after=old))) == ORDERED[order][number + 1 :]
        assert ids(await listing.page(Slice(after=listing.cursor(row)))) == ORDERED[order][number + 1 :]


def _ahead_of(order: UserOrder) -> datetime:
    """A time that comes first in this order."""
    return NOON - timedelta(days=9) if order is UserOrder.CREATED_AT_ASC else NOON + timedelta(days=9)


# ---------------------------------------------------------------- refused pages


@pytest.mark.parametrize(
    "wanted",
    [
        {"first": -1},
        {"last": -1},
        {"first": 201},
        {"last": 201},
        {"first": 2**31 - 1},
        {"first": 1, "last": 1},
        {"first": 0, "last": 0},
    ],
    ids=repr,
)
def test_pages_that_cannot_be_are_bad_input(wanted: dict[str, Any]) -> None:
    with pytest.raises(BadUserInput):
        Slice(**wanted)


async def test_page_is_fifty_unless_said_and_may_be_two_hundred(instance: Instance) -> None:
    for number in range(53):
        await write(
            Statement(
                "INSERT INTO users (id, metadata, origin, role, status, session_epoch, search_text, created_at)"
                " VALUES ($1, '{}', 'EMAIL', 'MEMBER', 'ACTIVE', 0, '', $2)"
            ),
            f"u{number:03}",
            NOON + timedelta(seconds=number),
        )
    listing = list_users(ALL_USERS, UserOrder.CREATED_AT_ASC)
    assert len((await listing.page(Slice())).rows) == 50
    assert len((await listing.page(Slice(first=200))).rows) == 53
    assert ids(await listing.page(Slice(last=1))) == ["u052"]
    empty = await listing.page(Slice(first=0))
    assert (ids(empty), await empty.has_next(), await empty.has_previous()) == ([], True, False)


async def test_cursor_of_another_order_is_bad_input(instance: Instance) -> None:
    await _varied(instance)
    for one in UserOrder:
        listing = list_users(ALL_USERS, one)
        cursor = listing.cursor((await listing.page(Slice(first=1))).rows[0])
        for other in UserOrder:
            if other is not one:
                with pytest.raises(BadUserInput):
                    await list_users(ALL_USERS, other).page(Slice(after=cursor))
                with pytest.raises(BadUserInput):
                    await list_users(ALL_USERS, other).page(Slice(before=cursor))


def _forged(parts: Sequence[object] | object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).rstrip(b"=").decode()


FORGED = [
    "",
    "x",
    "\u00e9",
    "=",
    "!!!!",
    "a" * 60_000,
    base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    base64.urlsafe_b64encode(b"[" * 20_000).decode(),
    *map(
        _forged,
        [
            None,
            1,
            "created-",
            {},
            {"a": 1, "b": 2, "c": 3},
            [],
            ["created-"],
            ["created-", None, "x"],
            ["created-", 5, "x"],
            ["created-", "2030-01-01T00:00:00+00:00", 5],
            ["created-", "2030-01-01T00:00:00+00:00", None],
            ["created-", "2030-01-01T00:00:00", "x"],
            ["created-", "yesterday", "x"],
            ["created-", "2030-01-01T00:00:00+00:00", "x", "y"],
            ["created-", "0001-01-01T00:00:00+23:59", "x"],
            ["created-", "9999-12-31T23:59:59-23:59", "x"],
            ["created-", "2030-01-01T00:00:00+00:00", "a\0b"],
            ["created-", "2030-01-01T00:00:00+00:00", "\ud800"],
            ["created-", "2030-01-01T00:00:00+00:00", "x" * 10_000],
            ["email+", "a\0b", "x"],
            ["email+", "\ud800", "x"],
            ["email+", ["x"], "x"],
            ["email+", None, "\ud800"],
            ["seen-", "0001-01-01T00:00:00+14:00", "x"],
            ["seen-", True, "x"],
        ],
    ),
]


@pytest.mark.parametrize("order", UserOrder)
async def test_forged_cursors_are_bad_input_or_find_a_page(instance: Instance, order: UserOrder) -> None:
    await _varied(instance)
    for cursor in FORGED:
        for wanted in (Slice(after=cursor), Slice(last=2, before=cursor)):
            try:
                page = await list_users(ALL_USERS, order).page(wanted)
            except BadUserInput:
                continue
            assert set(ids(page)) <= set(ORDERED[order])


# ---------------------------------------------------------------- what it costs


async def test_page_is_one_query_and_counts_nothing(instance: Instance) -> None:
    await _varied(instance)
    listing = list_users(ALL_USERS, UserOrder.EMAIL_ASC)
    async with noted_statements() as noted:
        page = await listing.page(Slice(first=3))
        assert await page.has_next()
        assert not await page.has_previous()
    assert len(noted) == 1, noted
    assert "COUNT" not in noted[0]


async def test_number_of_users_by_origin_and_status_comes_from_the_counters(instance: Instance) -> None:
    await _varied(instance)
    await administration.deactivate_user("b", TESTER)
    for wanted, number in (
        (ALL_USERS, 8),
        (UserFilter(status=UserStatus.ACTIVE), 7),
        (UserFilter(origin=UserOrigin.INVITATION), 2),
        (UserFilter(origin=UserOrigin.EXTERNAL_JWT, status=UserStatus.DEACTIVATED), 1),
    ):
        async with noted_statements() as noted:
            assert await count_users(wanted, list_users(wanted, UserOrder.EMAIL_ASC)) == number
        assert len(noted) == 1
        # Only the few whose access has ended since the counters were brought up to date are counted, by their index.
        assert noted[0].count("FROM users") == noted[0].count("access_until <=")
    by_search = UserFilter(search="example")
    assert await count_users(by_search, list_users(by_search, UserOrder.EMAIL_ASC)) == 5
