"""Signs codes with the current secret, as the customer's backend does: to try sign-in, and for sign-in links."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from service.audit.log import Actor
from service.clock import now
from service.encryption import Cipher
from service.errors import Conflict
from service.external_auth.code_events import record_signed_code
from service.external_auth.codes import sign
from service.external_auth.models import ExternalAuth
from service.external_auth.secrets import NewSecret, current_secret
from service.ids import new_id
from service.text import JsonObject

TEST_USER = {"id": "doorcode-test-user", "name": "Test user"}
"""The user of a test link. Real users of a customer hardly have this ID."""


@dataclass(frozen=True, slots=True)
class SignedCode:
    """A code, and when it expires."""

    text: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PreparedCode:
    """The claims of a code that is not signed yet, so that its audit event can be written before."""

    claims: JsonObject
    secret: NewSecret
    expires_at: datetime

    def sign(self) -> SignedCode:
        """Sign the code."""
        return SignedCode(sign(self.claims, self.secret.text, self.secret.row.id), self.expires_at)


async def sign_code_for(subject: JsonObject, by: Actor, cipher: Cipher, *, lifetime: int) -> SignedCode:
    """Return a code of this subject as `prepare_code` makes it, and record that it was signed."""
    prepared = await prepare_code(subject, cipher, lifetime=lifetime)
    await record_signed_code(prepared.secret.row.id, prepared.claims, by)
    return prepared.sign()


async def prepare_code(subject: JsonObject, cipher: Cipher, *, lifetime: int) -> PreparedCode:
    """Return a code of this subject with every claim that the policy may require.

    `lifetime` is in seconds. Raises `Conflict` if there is no current secret.
    """
    secret = await current_secret(cipher)
    if secret is None:
        raise Conflict("There is no current secret. Enable JWT sign-in, which makes one: doorcode jwt enable")
    auth = await ExternalAuth.get(id=1)
    issued_at = now().replace(microsecond=0)
    expires_at = issued_at + timedelta(seconds=lifetime)
    times: JsonObject = {"iat": int(issued_at.timestamp()), "exp": int(expires_at.timestamp())}
    claims: JsonObject = {**subject, **times, "jti": new_id()}
    named = {"iss": auth.issuer, "aud": auth.audience}
    claims |= {name: value for name, value in named.items() if value is not None}
    return PreparedCode(claims, secret, expires_at)


async def longest_lifetime(wanted: int) -> int:
    """Return the lifetime in seconds that was wanted, or the maximum of the policy if that is shorter."""
    auth = await ExternalAuth.get(id=1)
    return min(wanted, auth.max_lifetime_seconds or wanted)
