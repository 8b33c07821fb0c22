"""Imports users from a file: all or nothing, or without the rows that are refused (contract §6).

Everything runs in one transaction that holds the seat lock: first every row is decided and the seats are counted, then
the rows are written. A known user is brought up to date as by a code.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tortoise.expressions import Q

from service.accounts.access import set_status
from service.accounts.administration import activate, set_access_until
from service.accounts.changes import Profile, record_update
from service.accounts.code_cutoffs import SubjectHashes
from service.accounts.groups import change_groups, groups_of
from service.accounts.identifiers import SERVICE_ID_PREFIX
from service.accounts.import_rows import RowRefused, UserRow, read_rows
from service.accounts.metadata import dump_metadata, is_same_metadata
from service.accounts.models import (
    IDENTIFIER_COLUMNS,
    CodeCutoff,
    GroupSource,
    User,
    UserOrigin,
    UserRole,
    UserStatus,
)
from service.accounts.seats import count_user, lock_seats
from service.audit.actions import Action
from service.audit.log import Actor, record
from service.clock import now
from service.database import transaction
from service.errors import BadUserInput, SeatLimitReached
from service.ids import new_id

_BATCH = 1_000  # rows: a query names at most three IDs of each, and SQLite accepts 32,766 values
_TOLD = 10  # refused rows that the message of a refused import lists

Refused = Callable[[int, dict[str, str], str], None]
Progress = Callable[[str, int], None]


@dataclass(slots=True)
class ImportResult:
    """What an import did, or would do: numbers of rows."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0


@dataclass(slots=True)
class _Import:
    """One import, in its transaction."""

    path: Path
    by: Actor
    hashes: SubjectHashes
    skip_bad: Refused | None
    progress: Progress
    result: ImportResult = field(default_factory=ImportResult)
    reasons: list[str] = field(default_factory=list)
    seats: int = 0
    counts: dict[tuple[UserOrigin, UserStatus], int] = field(default_factory=dict)

    async def decide_all(self) -> None:
        """Decide every row, and count the seats. Nothing is written. Raises `BadUserInput` for a refused row."""
        number, taken = 0, set[int]()
        for batch in self._batches(self._refuse):
            for row, user, problem in await _match(batch, taken):
                if problem is not None:
                    self._refuse(row.line, dict(row.cells), problem)
                elif user is None:
                    self.result.created += 1
                    self.seats += status_of(row) is UserStatus.ACTIVE
                else:
                    changes = _differs(row, user)
                    self.result.updated += changes
                    self.result.unchanged += not changes
                    self.seats += _seats_taken(row, user)
            number += len(batch)
            self.progress("Checked", number)
        if self.result.refused and self.skip_bad is None:
            more = self.result.refused - len(self.reasons)
            told = "\n".join([*self.reasons, *([f"… and {more} more"] if more else [])])
            raise BadUserInput(f"Nothing was imported, because {self.result.refused} rows are refused:\n{told}")

    async def write_all(self) -> None:
        """Write the rows that are accepted."""
        number, taken = 0, set[int]()
        for batch in self._batches(lambda *_: None):
            new: list[User] = []
            for row, user, problem in await _match(batch, taken):
                if problem is not None:
                    continue
                if user is not None:
                    await _update(row, user, self.by)
                elif row.groups:
                    made = self._new_user(row)
                    await made.save(force_create=True)
                    await change_groups(made, row.groups, GroupSource.ADMIN, self.by)
                else:
                    new.append(self._new_user(row))
            await self._insert(new)
            number += len(batch)
            self.progress("Imported", number)
        for (origin, status), count in self.counts.items():
            await count_user(origin, status, count)
        detail = {"created": self.result.created, "updated": self.result.updated}
        await record(Action.USERS_IMPORTED, self.by, detail=detail)

    async def _insert(self, users: list[User]) -> None:
        hashes = {self.hashes.hash(user.external_id): user for user in users if user.external_id}
        async for kept in CodeCutoff.filter(subject_hash__in=list(hashes), expires_at__gt=now()):
            hashes[kept.subject_hash].codes_valid_from = kept.codes_valid_from
        if users:
            await User.bulk_create(users)

    def _new_user(self, row: UserRow) -> User:
        origin = UserOrigin.INVITATION if row.external_id is None else UserOrigin.EXTERNAL_JWT
        status, moment = status_of(row), now()
        user = User(
            id=row.id or row.external_id or new_id(SERVICE_ID_PREFIX),
            metadata=dump_metadata(row.metadata or {}),
            origin=origin,
            status=status,
            access_until=row.access_until,
            access_ended=row.access_until is not None and row.access_until <= moment,
            created_at=moment,
        )
        user.set_identifiers(email=row.email, email_verified=row.email is not None, external_id=row.external_id)
        self.counts[origin, status] = self.counts.get((origin, status), 0) + 1
        return user

    def _batches(self, refuse: Refused) -> Iterator[Sequence[UserRow]]:
        return _in_batches(self._good_rows(refuse))

    def _good_rows(self, refuse: Refused) -> Iterator[UserRow]:
        for row in read_rows(self.path):
            if isinstance(row, UserRow):
                yield row
            else:
                line, cells, reason = row
                refuse(line, dict(cells), reason)

    def _refuse(self, line: int, cells: dict[str, str], reason: str) -> None:
        self.result.refused += 1
        if self.skip_bad is not None:
            self.skip_bad(line, cells, reason)
        elif len(self.reasons) < _TOLD:
            self.reasons.append(f"line {line}: {reason}")


async def import_users(
    path: Path,
    by: Actor,
    hashes: SubjectHashes,
    progress: Progress,
    *,
    skip_bad: Refused | None = None,
    dry_run: bool = False,
) -> ImportResult:
    """Create and update the users of the file. With `dry_run`, only say what would be done.

    `skip_bad` is called for each refused row; without it, one refused row refuses the whole file. Raises `BadUserInput`,
    and `SeatLimitReached` before anything is written.
    """
    async with transaction():
        count = await lock_seats()
        work = _Import(path, by, hashes, skip_bad, progress)
        await work.decide_all()
        if count.limit is not None and work.seats > 0 and count.used + work.seats > count.limit:
            raise SeatLimitReached(
                f"The import takes {work.seats} seats, and {count.available} of {count.limit} are free. Nothing was imported."
            )
        if not dry_run:
            await work.write_all()
    return work.result


def status_of(row: UserRow) -> UserStatus:
    """Return the status of a new user: DEACTIVATED if the row says so or the access has ended."""
    ended = row.access_until is not None and row.access_until <= now()
    return UserStatus.DEACTIVATED if ended else row.status or UserStatus.ACTIVE


def _in_batches(rows: Iterator[UserRow]) -> Iterator[Sequence[UserRow]]:
    batch: list[UserRow] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


async def _match(rows: Sequence[UserRow], taken: set[int]) -> list[tuple[UserRow, User | None, str | None]]:
    """Return each row with the known user that it names, or with the reason for which it is refused.

    `taken` holds the users that earlier rows named.
    """
    ids = [text for row in rows for text in {row.id, row.external_id} if text is not None]
    emails = [row.email for row in rows if row.email is not None]
    found = await User.filter(Q(external_id__in=ids) | Q(id__in=ids) | Q(email__in=emails))
    by_external_id = {user.external_id: user for user in found if user.external_id}
    by_id = {user.id: user for user in found}
    by_email = {user.email: user for user in found if user.email}
    matched: list[tuple[UserRow, User | None, str | None]] = []
    for row in rows:
        try:
            user = _find(row, by_external_id, by_id, by_email)
            if user is not None:
                if user.serial in taken:
                    raise RowRefused("the user is in an earlier row too")
                taken.add(user.serial)
                _require_no_change_of_an_admin(row, user)
        except RowRefused as refused:
            matched.append((row, None, str(refused)))
        else:
            matched.append((row, user, None))
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
    if user.role is UserRole.ADMIN and _differs(row, user):
        raise RowRefused("the user is an admin, whom an import does not change")


def _differs(row: UserRow, user: User) -> bool:
    return (
        (row.email is not None and row.email != user.email)
        or (row.metadata is not None and not is_same_metadata(user.metadata, row.metadata))
        or (row.status is not None and row.status is not user.current_status)
        or (row.access_until is not None and row.access_until != user.access_until)
        or (row.groups is not None and list(row.groups) != _given_groups(user))
    )


def _given_groups(user: User) -> list[str]:
    return [name for name, source in groups_of(user) if source is GroupSource.ADMIN]


def _seats_taken(row: UserRow, user: User) -> int:
    """Return how many seats the row takes: 1, 0 or -1."""
    before = user.current_status is UserStatus.ACTIVE
    after = (row.status or user.current_status) is UserStatus.ACTIVE
    if row.access_until is not None:
        continues = row.access_until > now()
        after = continues and (after or (row.status is None and user.access_ended))
    return int(after) - int(before)


async def _update(row: UserRow, user: User, by: Actor) -> None:
    if not _differs(row, user):
        return
    before = Profile.of(user)
    if row.status is not None and row.status is not user.current_status:
        if row.status is UserStatus.ACTIVE:
            await activate(user, by)
        else:
            await set_status(user, UserStatus.DEACTIVATED)
            await record(Action.USER_DEACTIVATED, by, user_id=user.id)
    if row.access_until is not None and row.access_until != user.access_until:
        await set_access_until(user, row.access_until, by)
    if row.email is not None and row.email != user.email:
        user.email_epoch += row.email != user.shown_email
        user.set_identifiers(email=row.email, email_verified=True, external_id=user.external_id)
    if row.metadata is not None:
        user.metadata = user.metadata if is_same_metadata(user.metadata, row.metadata) else dump_metadata(row.metadata)
    await user.save(update_fields=("metadata", "email_epoch", *IDENTIFIER_COLUMNS))
    await record_update(user, before, by)
    if row.groups is not None and list(row.groups) != _given_groups(user):
        await change_groups(user, row.groups, GroupSource.ADMIN, by)
