"""Lists users, filtered and ordered, in pages. Counts them from the seat counters where those know the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import NoneType

from service.accounts.groups import parse_group_names
from service.accounts.identifiers import parse_email
from service.accounts.metadata import member_text
from service.accounts.models import UserOrigin, UserRole, UserStatus
from service.accounts.search import UserSearch
from service.accounts.seats import count_seats
from service.audit.actions import Action
from service.audit.log import Actor, record
from service.clock import now
from service.database import transaction
from service.errors import BadUserInput
from service.paging import Conditions, Listing, Order
from service.text import has_lone_surrogates


class UserOrder(StrEnum):
    """How users are ordered. Nulls come last; equal values are ordered by ID."""

    CREATED_AT_DESC = "CREATED_AT_DESC"
    CREATED_AT_ASC = "CREATED_AT_ASC"
    LAST_SEEN_AT_DESC = "LAST_SEEN_AT_DESC"
    EMAIL_ASC = "EMAIL_ASC"


_MEMBERS = "(',' || substr(metadata, 2, length(metadata) - 2) || ',')"  # without the braces, each between two commas
_SHOWN_EMAIL = "COALESCE(claimed_email, email)"  # as `User.shown_email`; the index users_by_shown_email has this text
_ORDERS = {
    UserOrder.CREATED_AT_DESC: Order("created-", "created_at", descending=True, is_time=True),
    UserOrder.CREATED_AT_ASC: Order("created+", "created_at", is_time=True),
    UserOrder.LAST_SEEN_AT_DESC: Order("seen-", "last_seen_at", descending=True, nullable=True, is_time=True),
    UserOrder.EMAIL_ASC: Order("email+", "shown_email", nullable=True, expression=_SHOWN_EMAIL),
}


@dataclass(frozen=True, slots=True)
class MetadataMember:
    """A member of the metadata: its name, and its value, which is a scalar."""

    name: str
    value: object


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users to list. A field that is None does not filter. `email` finds verified and claimed addresses."""

    origin: UserOrigin | None = None
    status: UserStatus | None = None
    role: UserRole | None = None
    email: str | None = None
    external_id: str | None = None
    search: str | None = None
    group: str | None = None
    metadata: MetadataMember | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    @property
    def is_counted(self) -> bool:
        """Whether the seat counters can count these users. They count by origin and status only."""
        others = (
            self.role,
            self.email,
            self.external_id,
            self.search,
            self.group,
            self.metadata,
            self.created_after,
            self.created_before,
        )
        return all(other is None for other in others)


# What `User.current_status` says, as conditions.
_OF_STATUS = {
    UserStatus.ACTIVE: "status = {} AND (access_until IS NULL OR access_until > {})",
    UserStatus.DEACTIVATED: "status = {} OR access_until <= {}",
}


def list_users(wanted: UserFilter, order: UserOrder, columns: Sequence[str] | None = None) -> Listing:
    """Return the users that match the filter, in this order. Raises `BadUserInput` for an invalid email or search."""
    conditions = Conditions()
    for column in ("origin", "role", "external_id"):
        if (value := getattr(wanted, column)) is not None:
            conditions.add(f"{column} = {{}}", value)
    if wanted.status is not None:
        conditions.add(_OF_STATUS[wanted.status], wanted.status, now())
    if wanted.email is not None:
        conditions.add(f"{_SHOWN_EMAIL} = {{}}", parse_email(wanted.email, "filter.email"))
    if wanted.group is not None:
        conditions.add("serial IN (SELECT user_serial FROM group_members WHERE name = {})", _group_name(wanted.group))
    if wanted.metadata is not None:
        member = _member_text(wanted.metadata)
        conditions.add(f"replace({_MEMBERS}, {{}}, '') <> {_MEMBERS}", member)
    if wanted.created_after is not None:
        conditions.add("created_at > {}", wanted.created_after.astimezone(UTC))
    if wanted.created_before is not None:
        conditions.add("created_at < {}", wanted.created_before.astimezone(UTC))
    search = UserSearch(wanted.search) if wanted.search else None
    if search is not None:
        conditions.add("search_text LIKE {} ESCAPE '!'", search.pattern)
    return Listing("users", _ORDERS[order], conditions, columns, None if search is None else search.read)


async def count_users(wanted: UserFilter, listing: Listing) -> int:
    """Return how many users match the filter. Reads the seat counters if they suffice: no count of a million rows."""
    if not wanted.is_counted:
        return await listing.count()
    counts = (await count_seats()).users
    return sum(
        number
        for (origin, status), number in counts.items()
        if wanted.origin in (None, origin) and wanted.status in (None, status)
    )


def _member_text(wanted: MetadataMember) -> str:
    name, value = wanted.name, wanted.value
    if not isinstance(value, (str, int, float, bool, NoneType)):
        raise BadUserInput("`filter.metadata.value` must be a string, a number, a boolean or null.")
    if any(has_lone_surrogates(text) for text in (name, value) if isinstance(text, str)):
        raise BadUserInput("`filter.metadata` has a lone surrogate, which is half a character.")
    return member_text(name, value)


def _group_name(text: str) -> str:
    try:
        return parse_group_names(text)[0]
    except ValueError as problem:
        raise BadUserInput(f"`filter.group` {problem}.") from None


async def record_export(file_format: str, wanted: Mapping[str, object], by: Actor) -> None:
    """Record that the users who match these filters are read into a file. Call it before the first is written."""
    async with transaction():
        await record(Action.USERS_EXPORTED, by, detail={"format": file_format, "filter": dict(wanted)})
