"""User IDs that come from a bug in the signing program (contract §1).

Such an ID is the same for every user of the customer, so strangers would share one account. Each pattern is what a
language or a template engine writes where the program had no ID to put in.
"""

import re
import unicodedata
from typing import Final

# The whole ID in lower case, without white space around it: JavaScript, Python, Ruby, Go, C, C++, C#, R, pandas,
# Perl, Java, MySQL and spreadsheets.
_WORDS_FOR_NO_VALUE: Final = frozenset(
    {
        "undefined",
        "(undefined)",
        "<undefined>",
        "null",
        "(null)",
        "<null>",
        "[null]",
        "none",
        "(none)",
        "<none>",
        "nil",
        "(nil)",
        "<nil>",
        "%!s(<nil>)",
        "%!d(<nil>)",
        "%!v(<nil>)",
        "nan",
        "-nan",
        "+nan",
        "nat",
        "<na>",
        "#n/a",
        "\\n",
        "nullptr",
        "undef",
        "dbnull",
        "system.dbnull",
        "optional.empty",
        "optional(nil)",
    }
)

_STRINGIFIED_OBJECT = re.compile(
    r"\[object .*\]"  # JavaScript: String({}), String(Promise.resolve())
    r"|#<.*>"  # Ruby: Object#inspect
    r"|<.* at 0x[0-9a-f]+.*>",  # Python: repr(object())
    re.IGNORECASE | re.DOTALL,
)
_DOTNET_TYPE = re.compile(r"System\.[A-Z]")  # C#: Object.ToString(), case-sensitive: `system.admin` is plausible
_PLACEHOLDER_ALONE = frozenset({"%s", ":id"})
_PLACEHOLDER = re.compile(r"\$\{.*?\}|\{\{.*?\}\}|#\{.*?\}|<%.*?%>|%\(.*?\)s", re.DOTALL)

# Most IDs are of these characters alone and need only the look-up of words.
_ORDINARY = re.compile(r"[A-Za-z0-9_@+|-][A-Za-z0-9_.@+|-]*")

# Default_Ignorable_Code_Point of Unicode 16 (DerivedCoreProperties.txt): characters that no font shows.
_DEFAULT_IGNORABLE_CLASS: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_DEFAULT_IGNORABLE = re.compile(f"[{_DEFAULT_IGNORABLE_CLASS}]")
_BRAILLE_BLANK = "\u2800"  # a symbol for Unicode, an empty cell for readers

_NO_VALUE = "is a word for a missing value (such as undefined or null): the signing program had no ID"


def find_signing_bug(user_id: str) -> str | None:
    """Say which bug of the signing program an ID shows. None if the ID is plausible.

    The text is a public reason that follows the name of the claim. It never repeats the ID.
    """
    if user_id.strip().lower() in _WORDS_FOR_NO_VALUE:
        return _NO_VALUE
    if _ORDINARY.fullmatch(user_id) and not _DOTNET_TYPE.match(user_id):
        return None
    trimmed = user_id.strip()
    if _STRINGIFIED_OBJECT.fullmatch(trimmed) or _DOTNET_TYPE.match(trimmed):
        return "is an object converted to text: the signing program must send the object's ID"
    if trimmed in _PLACEHOLDER_ALONE or _PLACEHOLDER.search(trimmed):
        return "has a placeholder that was not replaced: the signing program must send the ID"
    return _find_invisible(user_id)


def has_invisible_characters(text: str) -> bool:
    """Whether the text holds a character that no font shows, such as a zero-width space or an empty Braille cell."""
    return _DEFAULT_IGNORABLE.search(text) is not None or _BRAILLE_BLANK in text


def _find_invisible(user_id: str) -> str | None:
    if not any(_is_visible(character) for character in user_id):
        return "has no visible character"
    if _DEFAULT_IGNORABLE.match(user_id[0]) or _DEFAULT_IGNORABLE.match(user_id[-1]):
        return "begins or ends with an invisible character (such as a byte order mark or a zero-width space)"
    return None


def _is_visible(character: str) -> bool:
    # The categories Z (separators) and C (control, format, unassigned) have no glyph.
    if _DEFAULT_IGNORABLE.match(character) or character == _BRAILLE_BLANK:
        return False
    return unicodedata.category(character)[0] not in "ZC" or unicodedata.category(character) == "Co"
