"""Sign-in that starts at the customer's own system: where people without a code are sent, and how they come back."""

from urllib.parse import quote, urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field

from service.safe_urls import A_SAFE_URL, SafeUrl


class JwtSignIn(BaseModel):
    """How a sign-in starts and ends at the customer's. Validates types and limits.

    A field's `description` completes the message "`name` must be …"; one without it only refuses null.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", from_attributes=True)

    sign_in_url: SafeUrl | None = Field(None, description=A_SAFE_URL)
    """Where a person without a code signs in. That page sends them back with a code."""
    sign_out_url: SafeUrl | None = Field(None, description=A_SAFE_URL)
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
