"""Matches the rows of an import with the users that there are, and says what each row would change (contract §6)."""

from collections.abc import Sequence
from dataclasses import dataclass

from tortoise.expressions import Q

from service.accounts.groups import groups_of
from service.accounts.identifiers import SERVICE_ID_PREFIX
from service.accounts.import_rows import RowRefused, UserRow
from service.accounts.metadata import is_same_metadata
from service.accounts.models import GroupSource, User, UserRole, UserStatus
from service.clock import now


@dataclass(frozen=True, slots=True)
class MatchedRow:
    """A row with the known user that it names, or with the reason for which it is refused."""

    row: UserRow
    user: User | None
    problem: str | None = None

    @property
    def is_new(self) -> bool:
        """Whether the row creates a user."""
        return self.user is None and self.problem is None

    @property
    def changes(self) -> bool:
        """Whether the row changes a known user."""
        return self.user is not None and differs(self.row, self.user)

    @property
    def seats(self) -> int:
        """How many seats the row takes: 1, 0 or -1."""
        if self.problem is not None:
            return 0
        return int(status_of(self.row) is UserStatus.ACTIVE) if self.user is None else _seats_taken(self.row, self.user)


def status_of(row: UserRow) -> UserStatus:
    """Return the status of a new user: DEACTIVATED if the row says so or the access has ended."""
    ended = row.access_until is not None and row.access_until <= now()
    return UserStatus.DEACTIVATED if ended else row.status or UserStatus.ACTIVE


async def match_rows(rows: Sequence[UserRow], taken: set[int]) -> list[MatchedRow]:
    """Return each row with the known user that it names, or with the reason for which it is refused.

    `taken` holds the users that earlier rows named.
    """
    ids = [text for row in rows for text in {row.id, row.external_id} if text is not None]
    emails = [row.email for row in rows if row.email is not None]
    found = await User.filter(Q(external_id__in=ids) | Q(id__in=ids) | Q(email__in=emails))
    by_external_id = {user.external_id: user for user in found if user.external_id}
    by_id = {user.id: user for user in found}
    by_email = {user.email: user for user in found if user.email}
    matched: list[MatchedRow] = []
    for row in rows:
        try:
            user = _find(row, by_external_id, by_id, by_email)
            if user is not None:
                if user.serial in taken:
                    raise RowRefused("the user is in an earlier row too")
                taken.add(user.serial)
                _require_no_change_of_an_admin(row, user)
        except RowRefused as refused:
            matched.append(MatchedRow(row, None, str(refused)))
        else:
            matched.append(MatchedRow(row, user))
    return matched


def _find(
    row: UserRow, by_external_id: dict[str, User], by_id: dict[str, User], by_email: dict[str, User]
) -> User | None:
    external = row.external_id
    user = (by_external_id.get(external) or by_id.get(external)) if external is not None else None
    if user is None and external is None:
        user = by_email.get(row.email or "") or by_id.get(row.id or "")
    if user is None and row.id is not None and row.id in by_id:
        raise RowRefused("another user has this id")
    if user is not None and row.id not in (None, user.id):
        raise RowRefused("id and external_id or email name two users")
    if user is None and row.email is not None and row.email in by_email:
        raise RowRefused("another user has this email")
    if user is None and external is None and row.email is None:
        raise RowRefused("has neither external_id nor email")
    if user is None and row.id is not None and row.id != external and not row.id.startswith(SERVICE_ID_PREFIX):
        raise RowRefused("a new user has the external_id as id, or an id of this service")
    holder = by_email.get(row.email) if row.email is not None else None
    if user is not None and holder is not None and holder.serial != user.serial:
        raise RowRefused("another user has this email")
    return user


def _require_no_change_of_an_admin(row: UserRow, user: User) -> None:
    if user.role is UserRole.ADMIN and differs(row, user):
        raise RowRefused("the user is an admin, whom an import does not change")


def differs(row: UserRow, user: User) -> bool:
    """Return whether the row would change the user."""
    return (
        (row.email is not None and row.email != user.email)
        or (row.metadata is not None and not is_same_metadata(user.metadata, row.metadata))
        or (row.status is not None and row.status is not user.current_status)
        or (row.access_until is not None and row.access_until != user.access_until)
        or (row.groups is not None and list(row.groups) != given_groups(user))
    )


def given_groups(user: User) -> list[str]:
    """Return the groups that admins gave the user, which are those that an import replaces."""
    return [name for name, source in groups_of(user) if source is GroupSource.ADMIN]


def _seats_taken(row: UserRow, user: User) -> int:
    """Return how many seats the row takes: 1, 0 or -1."""
    before = user.current_status is UserStatus.ACTIVE
    after = (row.status or user.current_status) is UserStatus.ACTIVE
    if row.access_until is not None:
        continues = row.access_until > now()
        after = continues and (after or (row.status is None and user.access_ended))
    return int(after) - int(before)
