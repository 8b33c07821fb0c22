"""Tells whether the database can be written now, for `/readyz`.

SQL by hand: atomic. One update that changes nothing, and one row that is rolled back.
"""

from contextlib import suppress
from dataclasses import dataclass
from secrets import token_urlsafe

from service.clock import now
from service.database.statements import Statement
from service.database.transactions import transaction, write

_UNCHANGED = Statement("UPDATE external_auth SET id = id WHERE id = 1")
_LARGE = Statement("INSERT INTO sent_forms (id, location, expires_at) VALUES ($1, $2, $3)")
_ROOM = 32_768  # bytes: several pages, which no page has room for


@dataclass(slots=True)
class _Disk:
    may_be_full: bool = False


_disk = _Disk()


def suspect_full_disk() -> None:
    """Let `check_writable` look for room from now on, because a request has found none."""
    _disk.may_be_full = True


async def check_writable() -> None:
    """Write a row as it is. Raises what the driver raises if the database cannot be written: read-only, full, no permission.

    PostgreSQL can do that on a full disk, in the page of the row. So after a request has failed for want of room, a row
    that needs new pages is added, too, and rolled back.
    """
    await write(_UNCHANGED)
    if _disk.may_be_full:
        with suppress(_Undo):
            async with transaction():
                await write(_LARGE, token_urlsafe(32), token_urlsafe(_ROOM), now())
                raise _Undo
        _disk.may_be_full = False


class _Undo(Exception):
    """Rolls back."""
