"""Reads the rows of a CSV file of users, and writes them (contract §6). Knows the file alone, not the database."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TextIO

from service.accounts.administration import parse_external_id
from service.accounts.groups import groups_of, parse_group_names
from service.accounts.identifiers import normalise_email, parse_user_id
from service.accounts.metadata import check_metadata
from service.accounts.models import GroupSource, User, UserStatus
from service.clock import parse_time
from service.errors import BadUserInput
from service.text import JsonObject

COLUMNS: Final = ("id", "external_id", "email", "metadata", "status", "groups", "access_until")
_MAX_CELL = 1024 * 1024  # characters

Source = Path | bytes
"""A file, or what is in it."""


class RowRefused(Exception):
    """The row cannot be imported. The text is the reason."""


@dataclass(frozen=True, slots=True)
class UserRow:
    """One user of the file. A cell that is empty or has no column is None: it changes nothing."""

    line: int
    cells: Mapping[str, str]
    id: str | None
    external_id: str | None
    email: str | None
    metadata: JsonObject | None
    status: UserStatus | None
    groups: tuple[str, ...] | None
    access_until: datetime | None

    @property
    def identifiers(self) -> Iterator[tuple[str, str]]:
        """What names the user: no other row may have the same."""
        for name in ("id", "external_id", "email"):
            if (value := getattr(self, name)) is not None:
                yield ("email" if name == "email" else "id", value)


def read_rows(source: Source) -> Iterator[UserRow | tuple[int, Mapping[str, str], str]]:
    """Yield each row of the file, or its line, cells and the reason for which it is refused.

    The file is UTF-8 with or without a byte order mark. Raises `BadUserInput` for an unknown or repeated column, a file
    without a column that names users, and a file that is not CSV in UTF-8. Reads row by row, in little memory.
    """
    csv.field_size_limit(_MAX_CELL)
    seen: set[int] = set()
    try:
        with _open(source) as file:
            rows = csv.reader(file, strict=True)
            columns = _checked_columns(next(rows, []))
            for values in rows:
                if not values:
                    continue
                cells = dict(zip(columns, values, strict=False))
                try:
                    if len(values) != len(columns):
                        raise RowRefused(f"has {len(values)} cells, and the header has {len(columns)}")
                    row = _parse(rows.line_num, cells)
                    _require_first(row, seen)
                except RowRefused as refused:
                    yield rows.line_num, cells, str(refused)
                else:
                    yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadUserInput(f"The file is not CSV in UTF-8: {error}.") from None
    except OSError as error:
        raise BadUserInput(f"The file cannot be read: {error.strerror}.") from None


def _open(source: Source) -> TextIO:
    file = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    return io.TextIOWrapper(file, encoding="utf-8-sig", newline="")


def _checked_columns(columns: list[str]) -> list[str]:
    names = [name.strip() for name in columns]
    if unknown := [name for name in names if name not in COLUMNS]:
        raise BadUserInput(f"The file has an unknown column: {unknown[0]!r}. The columns are {', '.join(COLUMNS)}.")
    if len(set(names)) != len(names):
        raise BadUserInput("The file has a column twice.")
    if not {"external_id", "email"} & set(names):
        raise BadUserInput("The file needs a column external_id or email.")
    return names


def _require_first(row: UserRow, seen: set[int]) -> None:
    """Refuse a second row of a user. Hashes of 8 bytes are kept, because a file may have a million rows."""
    marks = {
        int.from_bytes(hashlib.blake2b(f"{kind}\0{value}".encode(), digest_size=8).digest())
        for kind, value in row.identifiers
    }
    if marks & seen:
        raise RowRefused("the user is in an earlier row too")
    seen |= marks


def _parse(line: int, cells: Mapping[str, str]) -> UserRow:
    given = {name: text for name, text in cells.items() if text.strip()}
    try:
        row = UserRow(
            line,
            cells,
            id=parse_user_id(given["id"]) if "id" in given else None,
            external_id=parse_external_id(given["external_id"]) if "external_id" in given else None,
            email=normalise_email(given["email"]) if "email" in given else None,
            metadata=_parse_metadata(given["metadata"]) if "metadata" in given else None,
            status=_parse_status(given["status"]) if "status" in given else None,
            groups=_parse_groups(given["groups"]) if "groups" in given else None,
            access_until=parse_time(given["access_until"].strip()) if "access_until" in given else None,
        )
    except BadUserInput as problem:
        raise RowRefused(problem.message) from None
    except ValueError as problem:
        raise RowRefused(f"a cell {problem}") from None
    if row.external_id is None and row.email is None and row.id is None:
        raise RowRefused("has neither external_id nor email")
    return row


def _parse_metadata(text: str) -> JsonObject:
    try:
        metadata = json.loads(text)
    except ValueError:
        raise RowRefused("metadata is not JSON") from None
    if not isinstance(metadata, dict):
        raise RowRefused("metadata is not a JSON object")
    try:
        check_metadata(metadata)
    except ValueError as problem:
        raise RowRefused(f"metadata {problem}") from None
    return metadata


def _parse_status(text: str) -> UserStatus:
    try:
        return UserStatus(text.strip().upper())
    except ValueError:
        raise RowRefused("status is neither ACTIVE nor DEACTIVATED") from None


def _parse_groups(text: str) -> tuple[str, ...]:
    try:
        return parse_group_names(json.loads(text) if text.lstrip().startswith("[") else [text.strip()])
    except ValueError as problem:
        raise RowRefused(f"groups {problem}") from None


def cells_of(user: User) -> list[str]:
    """Return the cells of a user, in the order of `COLUMNS`, so that importing them changes nothing.

    An email that is only claimed is left out, because an import makes emails verified. Groups are those that admins gave,
    because codes bring their own.
    """
    given = [name for name, source in groups_of(user) if source is GroupSource.ADMIN]
    return [
        user.id,
        user.external_id or "",
        user.email or "",
        user.metadata,
        user.current_status,
        json.dumps(given, ensure_ascii=False) if given else "",
        user.access_until.isoformat().replace("+00:00", "Z") if user.access_until else "",
    ]
