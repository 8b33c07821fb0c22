"""Sign-in that starts at the customer's own system: where people without a code are sent, and how they come back."""

from typing import Annotated
from urllib.parse import quote, urlencode, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.settings import is_loopback
from service.text import find_unsafe_characters

MAX_URL_LENGTH = 2_048

_A_URL = (
    f"an https URL of at most {MAX_URL_LENGTH} characters, without user name and fragment (http only for this machine), or "
    "null for none"
)


def _check_url(value: str) -> str:
    if len(value) > MAX_URL_LENGTH or find_unsafe_characters(value) or "\\" in value or any(map(str.isspace, value)):
        raise ValueError("not a URL")
    url = urlsplit(value)
    _ = url.port  # raises ValueError if it is no number
    if not url.hostname or "@" in url.netloc or "#" in value:
        raise ValueError("not a URL without user name and fragment")
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname)):
        raise ValueError("neither https nor on loopback")
    return value


_Url = Annotated[str, AfterValidator(_check_url)]


class JwtSignIn(BaseModel):
    """How a sign-in starts and ends at the customer's. Validates types and limits.

    A field's `description` completes the message "`name` must be …"; one without it only refuses null.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", from_attributes=True)

    sign_in_url: _Url | None = Field(None, description=_A_URL)
    """Where a person without a code signs in. That page sends them back with a code."""
    sign_out_url: _Url | None = Field(None, description=_A_URL)
    """Where a person goes whose session, opened by a code, was ended by signing out."""
    start_automatically: bool = False
    """Whether `/login` goes to `sign_in_url` at once."""
    require_state: bool = False
    """Whether a link login needs a `state` that this browser was given."""

    def start_url(self, state: str, return_to: str | None) -> str | None:
        """Return `sign_in_url` with `returnTo` and `state` added to its own query; None if it is not set."""
        if self.sign_in_url is None:
            return None
        added = {"state": state} if return_to is None else {"returnTo": return_to, "state": state}
        query = urlsplit(self.sign_in_url).query
        separator = "&" if query else "" if self.sign_in_url.endswith("?") else "?"
        return f"{self.sign_in_url}{separator}{urlencode(added, safe='', quote_via=quote)}"
