"""Searches users by a part of an ID or an email address, with the index of `search_index` or by a scan, in limited time.

Both databases find texts of three characters by a trigram index. Shorter texts are searched at the start of a line only.
On SQLite the index answers for those of two characters too, because the line feed before them is the third.

The index on SQLite returns the users in no order. If more than `FEW` users have all trigrams of the text, a walk along the
order of the list meets a page of them sooner.

SQL by hand: beyond the ORM. `MATCH` is SQLite's, and the time limit belongs to the statement.
"""

from collections.abc import Sequence

from service.accounts.search_index import is_missing
from service.database import (
    ReadsBusyError,
    ReadTooLongError,
    Row,
    Statement,
    fetch,
    fetch_limited,
    on_sqlite,
)
from service.errors import BadUserInput, TooManyAttempts
from service.paging import Conditions, StatementFor
from service.text import find_unsafe_characters

SHORTEST_INNER_SEARCH = 3  # characters; a shorter text is searched only at the start of a line
MAX_SEARCH_LENGTH = 255
LONGEST_SEARCH = 2.0  # seconds
FEW = 5_000  # users that are looked at one by one
_MOST_TRIGRAMS = 30  # of one search: each narrows the users further, and the text itself is compared in the end

_INDEXED = Statement(f"SELECT rowid FROM users_search WHERE users_search MATCH $1 LIMIT {FEW + 1}")


class UserSearch:
    """One search. It remembers whether the index answers it, for the page and the count of one request."""

    def __init__(self, text: str) -> None:
        """Raise `BadUserInput` for a text that is too long or has characters that no identifier has."""
        if len(text) > MAX_SEARCH_LENGTH:
            raise BadUserInput(f"`filter.search` is longer than {MAX_SEARCH_LENGTH} characters.")
        if problem := find_unsafe_characters(text):
            raise BadUserInput(f"`filter.search` {problem}.")
        folded = text.casefold()
        self._text = folded if len(text) >= SHORTEST_INNER_SEARCH else f"\n{folded}"
        self._has_few: bool | None = None

    @property
    def pattern(self) -> str:
        """The LIKE pattern, for `ESCAPE '!'`. A short text matches at the start of a line, else it matches most users."""
        escaped = self._text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
        return f"%{escaped}%"

    @property
    def trigrams(self) -> list[str]:
        """The different trigrams of the text, at most `_MOST_TRIGRAMS`. A user that is found has all of them."""
        text = self._text
        return list(dict.fromkeys(text[start : start + 3] for start in range(len(text) - 2)))[:_MOST_TRIGRAMS]

    async def read(self, statement_for: StatementFor, conditions: Conditions) -> Sequence[Row]:
        """Run the statement of a page or a count. Raises `BadUserInput` if it takes too long."""
        scans = not self._has_words
        if on_sqlite():
            conditions, scans = await self._narrowed(conditions)
        statement = statement_for(conditions)
        try:
            return await fetch_limited(statement, *conditions.values, seconds=LONGEST_SEARCH, scans=scans)
        except ReadsBusyError:
            raise TooManyAttempts(
                "Other searches are running. Repeat this search in a few seconds.", retry_after=round(LONGEST_SEARCH)
            ) from None
        except ReadTooLongError:
            raise BadUserInput(
                f"This search was stopped after {LONGEST_SEARCH:.0f} seconds. Search for a longer or rarer text, or for"
                " the whole email address or external ID."
            ) from None

    @property
    def _has_words(self) -> bool:
        """Whether `pg_trgm` can use its index: it knows letters and digits only."""
        run = 0
        for character in self._text:
            run = run + 1 if character.isalnum() else 0
            if run >= SHORTEST_INNER_SEARCH:
                return True
        return False

    async def _narrowed(self, conditions: Conditions) -> tuple[Conditions, bool]:
        """Return the conditions with the index of SQLite, if it knows few users, and whether the table is scanned."""
        expression = " AND ".join('"' + trigram.replace('"', '""') + '"' for trigram in self.trigrams)
        if self._has_few is None:
            self._has_few = bool(expression) and await _knows_few(expression)
        if not self._has_few:
            return conditions, True
        narrowed = conditions.copy()
        narrowed.add("serial IN (SELECT rowid FROM users_search WHERE users_search MATCH {})", expression)
        return narrowed, False


async def _knows_few(expression: str) -> bool:
    """Return whether the index knows at most `FEW` users with these trigrams; false if there is no index."""
    try:
        return len(await fetch(_INDEXED, expression)) <= FEW
    except Exception as error:
        if is_missing(error):
            return False
        raise
