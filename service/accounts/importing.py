"""Imports users from a file: all or nothing, or without the rows that are refused (contract §6).

First every row is decided and the seats are counted, without a lock. Then the rows are written in short transactions, so
that sign-ins go on between them. Each holds the seat lock and decides its rows again, because users may have changed
meanwhile. If such a change makes a row refused, or other users take the last seats, the import stops there and says what
is done: importing the file again goes on. A file of one batch is one transaction, so it cannot stop halfway.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from service.accounts.access import set_status
from service.accounts.administration import activate, set_access_until
from service.accounts.changes import Profile, record_update
from service.accounts.code_cutoffs import SubjectHashes
from service.accounts.groups import change_groups
from service.accounts.identifiers import SERVICE_ID_PREFIX
from service.accounts.import_matching import MatchedRow, given_groups, match_rows, status_of
from service.accounts.import_plan import (
    BATCH,
    ImportPlan,
    ImportResult,
    Progress,
    Refused,
    find_lack_of_seats,
    in_batches,
    plan_import,
    readable_rows,
)
from service.accounts.import_rows import Source, UserRow
from service.accounts.metadata import dump_metadata, is_same_metadata
from service.accounts.models import (
    IDENTIFIER_COLUMNS,
    CodeCutoff,
    GroupSource,
    User,
    UserOrigin,
    UserStatus,
)
from service.accounts.seats import count_user, lock_seats
from service.audit.actions import Action
from service.audit.log import Actor, record
from service.clock import now
from service.database import transaction
from service.errors import BadUserInput, Conflict, RequestRefused, SeatLimitReached
from service.ids import new_id

_PAUSE = 0.1  # seconds between transactions: a process that waits for SQLite asks for the lock every 0.1 s
_TOLD = 10  # refused rows that the message of a refused import lists


async def import_users(
    source: Source,
    by: Actor,
    hashes: SubjectHashes,
    progress: Progress,
    *,
    skip_bad: Refused | None = None,
    dry_run: bool = False,
) -> ImportResult:
    """Create and update the users of the file. With `dry_run`, only say what would be done.

    `skip_bad` is called for each refused row; without it, one refused row refuses the whole file. Raises `BadUserInput`,
    and `SeatLimitReached` before anything is written. Raises `Conflict` or `SeatLimitReached` with what is done so far, if
    other changes make it stop.
    """
    reasons: list[str] = []

    def note(line: int, cells: dict[str, str], reason: str) -> None:
        if skip_bad is not None:
            skip_bad(line, cells, reason)
        elif len(reasons) < _TOLD:
            reasons.append(f"line {line}: {reason}")

    plan = await plan_import(source, note, progress)
    if plan.result.refused and skip_bad is None:
        more = plan.result.refused - len(reasons)
        told = "\n".join([*reasons, *([f"… and {more} more"] if more else [])])
        raise BadUserInput(f"Nothing was imported, because {plan.result.refused} rows are refused:\n{told}")
    if lack := plan.lack_of_seats:
        raise SeatLimitReached(f"{lack} Nothing was imported.")
    if dry_run:
        return plan.result
    work = _Import(source, by, hashes, plan, skip_bad, progress)
    await work.write_all()
    return work.result


@dataclass(slots=True)
class _Import:
    """Writes the rows of a file that were accepted."""

    source: Source
    by: Actor
    hashes: SubjectHashes
    plan: ImportPlan
    skip_bad: Refused | None
    progress: Progress
    result: ImportResult = field(default_factory=ImportResult)
    taken: set[int] = field(default_factory=set)
    rows: int = 0

    async def write_all(self) -> None:
        """Write the rows, batch by batch. Rows that were refused before are not looked at again."""
        self.result.refused = self.plan.result.refused
        rows = (row for row in readable_rows(self.source, _tell_no_one) if row.line not in self.plan.refused_lines)
        for batch in in_batches(rows):
            if self.rows:
                await asyncio.sleep(_PAUSE)
            try:
                await self._write(batch)
            except RequestRefused as refused:
                if self.rows:
                    await self._record_end(stopped=refused.message)
                raise
            self.rows += len(batch)
            self.progress("Imported", self.rows)
        if not self._is_one_transaction:
            await self._record_end()

    @property
    def _is_one_transaction(self) -> bool:
        return self.plan.rows <= BATCH

    async def _write(self, batch: Sequence[UserRow]) -> None:
        async with transaction():
            count = await lock_seats()
            accepted = [matched for matched in await match_rows(batch, self.taken) if self._accepts(matched)]
            if lack := find_lack_of_seats(sum(matched.seats for matched in accepted), count):
                raise SeatLimitReached(f"{lack} {self._told}")
            result = replace(self.result)
            for matched in accepted:
                result.count(matched)
            await self._write_rows(accepted)
            if self._is_one_transaction:
                await self._record(result)
            elif not self.rows:
                await record(Action.USERS_IMPORT_STARTED, self.by, detail={"rows": self.plan.rows})
        self.result = result

    def _accepts(self, matched: MatchedRow) -> bool:
        """Return whether the row is still accepted. Raises `Conflict` if it is not and refused rows are not skipped."""
        if matched.problem is None:
            return True
        if self.skip_bad is None:
            raise Conflict(f"Users changed during the import. Line {matched.row.line}: {matched.problem}. {self._told}")
        self.result.refused += 1
        self.skip_bad(matched.row.line, dict(matched.row.cells), matched.problem)
        return False

    @property
    def _told(self) -> str:
        """Say what is done when the import stops."""
        if not self.rows:
            return "Nothing was imported."
        return (
            f"The import stopped after {self.rows} rows: {self.result.created} users are created and {self.result.updated} "
            "updated. Import the file again to go on."
        )

    async def _record_end(self, stopped: str | None = None) -> None:
        async with transaction():
            await self._record(self.result, stopped)

    async def _record(self, result: ImportResult, stopped: str | None = None) -> None:
        detail: dict[str, object] = {"created": result.created, "updated": result.updated}
        await record(Action.USERS_IMPORTED, self.by, detail=detail | ({"stopped": stopped} if stopped else {}))

    async def _write_rows(self, accepted: Sequence[MatchedRow]) -> None:
        new: list[User] = []
        counts: dict[tuple[UserOrigin, UserStatus], int] = {}
        for matched in accepted:
            row = matched.row
            if matched.user is not None:
                if matched.changes:
                    await _update(row, matched.user, self.by)
                continue
            made = _new_user(row)
            counts[made.origin, made.status] = counts.get((made.origin, made.status), 0) + 1
            if row.groups:
                await made.save(force_create=True)
                await change_groups(made, row.groups, GroupSource.ADMIN, self.by)
            else:
                new.append(made)
        await self._insert(new)
        for (origin, status), number in counts.items():
            await count_user(origin, status, number)

    async def _insert(self, users: list[User]) -> None:
        hashes = {self.hashes.hash(user.external_id): user for user in users if user.external_id}
        async for kept in CodeCutoff.filter(subject_hash__in=list(hashes), expires_at__gt=now()):
            hashes[kept.subject_hash].codes_valid_from = kept.codes_valid_from
        if users:
            await User.bulk_create(users)


def _tell_no_one(*_: object) -> None:
    """The row was refused and told before."""


def _new_user(row: UserRow) -> User:
    origin = UserOrigin.INVITATION if row.external_id is None else UserOrigin.EXTERNAL_JWT
    moment = now()
    user = User(
        id=row.id or row.external_id or new_id(SERVICE_ID_PREFIX),
        metadata=dump_metadata(row.metadata or {}),
        origin=origin,
        status=status_of(row),
        access_until=row.access_until,
        access_ended=row.access_until is not None and row.access_until <= moment,
        created_at=moment,
    )
    user.set_identifiers(email=row.email, email_verified=row.email is not None, external_id=row.external_id)
    return user


async def _update(row: UserRow, user: User, by: Actor) -> None:
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
    if row.metadata is not None and not is_same_metadata(user.metadata, row.metadata):
        user.set_metadata(dump_metadata(row.metadata))
    await user.save(update_fields=("metadata", "email_epoch", *IDENTIFIER_COLUMNS))
    await record_update(user, before, by)
    if row.groups is not None and list(row.groups) != given_groups(user):
        await change_groups(user, row.groups, GroupSource.ADMIN, by)
