"""What a sign-in link or form asks for, also where a program or an editor has misspelt the names of its parameters.

The usual fault is a link that was HTML-escaped twice: `&amp;externalAuthCode=…` reaches the service under the name
`amp;externalAuthCode`. A code under another name would stay in the address bar, in the history and in logs.
"""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote, unquote_plus

from starlette.datastructures import FormData, QueryParams

Fields = FormData | QueryParams

_CODE, _RETURN_TO, _STATE = "externalauthcode", "returnto", "state"
_ESCAPED_AMPERSANDS = re.compile(r"^(?:\s|amp;)+", re.IGNORECASE)
_SEPARATORS = str.maketrans("", "", "_- ")
_CODE_IN_AN_ADDRESS = re.compile(r"(?:(?<=\?)|&)(?:\s|amp;)*external[ _-]?auth[ _-]?code=[^&]*", re.IGNORECASE)
# Every code that a JWT library makes begins so: base64url of `{"`, and two more segments.
_LOOKS_LIKE_A_CODE = re.compile(r"eyJ[\w-]*\.[\w-]+\.[\w-]*", re.ASCII)


@dataclass(frozen=True, slots=True, repr=False)  # a repr would show the code, which no log may hold
class Link:
    """What a link or a form asks for. `code` is None if it was not given."""

    code: str | None
    return_to: str | None
    state: str | None = None

    @classmethod
    def of(cls, fields: Fields) -> Self:
        """Read query parameters or form fields, which have the same names."""
        return_to = _value(fields, _RETURN_TO)
        return cls(
            _value(fields, _CODE), None if return_to is None else without_code(return_to), _value(fields, _STATE)
        )


def has_code(fields: Fields) -> bool:
    """Return whether a link or form asks for link login, even if with an empty or repeated code."""
    return any(_plain(name) == _CODE for name, _ in fields.multi_items())


def has_code_elsewhere(fields: Fields) -> bool:
    """Return whether there is a code under a name that cannot be recognised. `returnTo` may hold other JWTs."""
    return any(
        _LOOKS_LIKE_A_CODE.search(f"{name}={value}") is not None
        for name, value in fields.multi_items()
        if _plain(name) not in (_CODE, _RETURN_TO)
    )


def without_code(return_to: str) -> str:
    """Return `returnTo` without codes in its query, which the application and its logs would get."""
    address, hash_sign, fragment = return_to.partition("#")
    cleaned, count = _CODE_IN_AN_ADDRESS.subn("", address)
    return return_to if not count else cleaned.replace("?&", "?").rstrip("?") + hash_sign + fragment


def corrected_return_to(query: str) -> str | None:
    """Return the `returnTo` that a query string should have had; None if it is right.

    Some proxies put the address that a signed-out visitor asked for behind `returnTo=` as it is. A code that follows was
    then a parameter of the application's address, which another site may have made up, and does not belong to this
    request. Nor does a code inside of `returnTo`. A code before `returnTo` does.
    """
    parts = query.split("&")
    names = [_plain(unquote(part.partition("=")[0])) for part in parts]
    if _RETURN_TO not in names or _CODE in names[: names.index(_RETURN_TO)]:
        return None
    position = names.index(_RETURN_TO)
    value = parts[position].partition("=")[2]
    is_open = "?" in value and _CODE in names[position + 1 :]
    given = unquote_plus(value)
    return without_code(given) if is_open or without_code(given) != given else None


def _value(fields: Fields, wanted: str) -> str | None:
    """Return the value of a parameter in any spelling of its name; None if it was not given.

    The same value twice counts as once. Returns an empty text for different values, and for a file: a proxy or filter that
    checks the request may have looked at another of the values.
    """
    values = {value for name, value in fields.multi_items() if _plain(name) == wanted}
    if not values:
        return None
    value = values.pop()
    return value if not values and isinstance(value, str) else ""


def _plain(name: str) -> str:
    return _ESCAPED_AMPERSANDS.sub("", name).translate(_SEPARATORS).lower()
