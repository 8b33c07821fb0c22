"""Groups of users: their names, who is in them, and how many active members each has (contract §3).

The names of a user's groups are in the user's own row, by source, so that an exchange compares them without a query.
`group_members` finds the users of a group; it has one row for each user and group, whatever the sources.
`user_groups` counts the active members. The transactions that change any of this hold the seat lock.

SQL by hand: atomic (members and their counts).
"""

import json
import unicodedata
from typing import Final

from service.accounts.lookup import lock_to_change
from service.accounts.models import GroupSource, User, UserStatus
from service.accounts.seats import lock_seats
from service.audit.actions import Action
from service.audit.log import Actor, record
from service.database import Statement, transaction, write
from service.errors import BadUserInput
from service.paging import Conditions, Listing, Order
from service.text import find_unsafe_characters, name_type

MAX_GROUPS: Final = 64  # of a user, by each source
MAX_GROUP_NAME: Final = 128  # characters

_COLUMNS = {GroupSource.CODE: "code_groups", GroupSource.ADMIN: "admin_groups"}

_ADD_MEMBER = Statement("INSERT INTO group_members (name, user_serial) VALUES ($1, $2)")
_REMOVE_MEMBER = Statement("DELETE FROM group_members WHERE name = $1 AND user_serial = $2")
_COUNT_IN = Statement(
    "INSERT INTO user_groups (name, member_count) VALUES ($1, $2)"
    " ON CONFLICT (name) DO UPDATE SET member_count = user_groups.member_count + excluded.member_count"
)
_COUNT_OUT = Statement("UPDATE user_groups SET member_count = member_count - $2 WHERE name = $1")
_DELETE_EMPTY = Statement(
    "DELETE FROM user_groups WHERE name = $1 AND NOT EXISTS (SELECT 1 FROM group_members WHERE name = $1)"
)
_COUNT_STATUS = Statement(
    "UPDATE user_groups SET member_count = member_count + $1"
    " WHERE name IN (SELECT name FROM group_members WHERE user_serial = $2)"
)


def parse_group_names(value: object) -> tuple[str, ...]:
    """Return the names of groups, each once, in order. A string is one name.

    At most 64 names of 1 to 128 characters, in Unicode NFC, compared exactly. Raises `ValueError` with the reason.
    """
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list):
        raise ValueError(f"is {name_type(value)}, and must be an array of strings")
    if len(names) > MAX_GROUPS:
        raise ValueError(f"has more than {MAX_GROUPS} names")
    return tuple(sorted({_parse_name(name) for name in names}))


def _parse_name(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"has a name that is {name_type(value)}, and each must be a string")
    if problem := find_unsafe_characters(value):
        raise ValueError(f"has a name that {problem}")
    name = unicodedata.normalize("NFC", value)
    if not 1 <= len(name) <= MAX_GROUP_NAME:
        raise ValueError(f"has a name that is not 1 to {MAX_GROUP_NAME} characters long")
    return name


def dump_groups(names: tuple[str, ...]) -> str:
    """Return the names as they are stored. Equal names give equal text."""
    return json.dumps(names, separators=(",", ":"))


def groups_of(user: User) -> list[tuple[str, GroupSource]]:
    """Return the user's groups and what gave each, by name. A name from both sources has two entries."""
    return sorted((name, source) for source, column in _COLUMNS.items() for name in json.loads(getattr(user, column)))


def group_names(user: User) -> list[str]:
    """Return the names of the user's groups from both sources, each once, in order."""
    return sorted({name for name, _ in groups_of(user)})


def compare_groups(user: User, names: tuple[str, ...], source: GroupSource) -> tuple[list[str], list[str]]:
    """Return which groups the user joins and which it leaves if the source has these names for it."""
    before = set(json.loads(getattr(user, _COLUMNS[source])))
    return sorted(set(names) - before), sorted(before - set(names))


async def set_user_groups(user_id: str, names: list[str], by: Actor) -> User:
    """Replace the groups that admins gave the user. Those that came by codes stay.

    Raises `BadUserInput`, `NotFound`, `Forbidden` for an admin.
    """
    try:
        wanted = parse_group_names(names)
    except ValueError as problem:
        raise BadUserInput(f"`names` {problem}.") from None
    async with transaction():
        await lock_seats()
        user = await lock_to_change(user_id, by)
        await change_groups(user, wanted, GroupSource.ADMIN, by)
    return user


async def change_groups(user: User, names: tuple[str, ...], source: GroupSource, by: Actor) -> None:
    """Replace the groups of one source, in the caller's transaction, which holds the seat lock."""
    joined, left = compare_groups(user, names, source)
    if not joined and not left:
        return
    before = set(group_names(user))
    setattr(user, _COLUMNS[source], dump_groups(names))
    await user.save(update_fields=[_COLUMNS[source]])
    after = set(group_names(user))
    for name in sorted(after - before):
        await write(_ADD_MEMBER, name, user.serial)
        await write(_COUNT_IN, name, int(user.status is UserStatus.ACTIVE))
    await _leave(user, sorted(before - after))
    detail = {"source": source, "joined": joined, "left": left}
    await record(Action.USER_GROUPS_SET, by, user_id=user.id, detail=detail)


async def count_group_member(user: User, by: int) -> None:
    """Add `by` (1 or -1) to the count of each group of the user, in the transaction that changes its status."""
    await write(_COUNT_STATUS, by, user.serial)


async def leave_all_groups(user: User) -> None:
    """Take a user who is deleted out of its groups, in the caller's transaction, which holds the seat lock."""
    await _leave(user, group_names(user))


async def _leave(user: User, names: list[str]) -> None:
    for name in names:
        await write(_REMOVE_MEMBER, name, user.serial)
        await write(_COUNT_OUT, name, int(user.status is UserStatus.ACTIVE))
        await write(_DELETE_EMPTY, name)


def list_groups() -> Listing:
    """Return all groups, by name in the order of its bytes. A group exists as long as it has a member."""
    return Listing("user_groups", Order("name+", "name", id_column="name"), Conditions())
