"""The addresses of the pages that one-time links lead to, and of the logos. Features are handed them and know no path."""

from dataclasses import dataclass
from urllib.parse import urlencode

SETUP_PATH = "/admin/setup"
INVITATION_PATH = "/invitation"
ADMIN_INVITATION_PATH = "/admin/invitation"
BRANDING_PATH = "/static/branding"  # below /static, which every proxy passes on


@dataclass(frozen=True, slots=True)
class PageUrls:
    """Builds the URLs of one-time links under the public URL of the service."""

    public_url: str

    def setup(self, token: str) -> str:
        """Return the URL of the page that creates the first admin."""
        return self._with_token(SETUP_PATH, token)

    def invitation(self, token: str, *, to_admin: bool) -> str:
        """Return the URL of the page that accepts an invitation. An admin's page belongs to the panel."""
        return self._with_token(ADMIN_INVITATION_PATH if to_admin else INVITATION_PATH, token)

    def _with_token(self, path: str, token: str) -> str:
        return f"{self.public_url}{path}?{urlencode({'token': token})}"
