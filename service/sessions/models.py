"""The tables of sessions, of the signing keys of access tokens, and of secrets that a page shows once."""

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model


class SignInMethod(StrEnum):
    """How a user signed in."""

    EMAIL = "EMAIL"
    EXTERNAL_JWT = "EXTERNAL_JWT"


class TokenTransport(StrEnum):
    """How a request sends the session token: in the Authorization header, the member cookie or the admin cookie."""

    BEARER = "BEARER"
    COOKIE = "COOKIE"
    ADMIN_COOKIE = "ADMIN_COOKIE"


# Only describes the table for migrations: its rows are read and written by SQL.
class Session(Model):
    """A sign-in that lasts. Live while it has not expired and nothing that opened it has been ended since.

    There is no foreign key to the user: ending the sessions of a user, a secret or a method, and deleting a user, cost
    the same however many sessions there are. A dead row is nobody's, and is purged when it expires.
    """

    id = fields.CharField(max_length=36, primary_key=True, description="UUIDv7: in the order of opening")
    user_serial = fields.BigIntField()
    user_epoch = fields.IntField(description="the user's session_epoch when it opened")
    method = fields.CharEnumField(SignInMethod, max_length=16)
    method_epoch = fields.IntField(default=0, description="the method's epoch when the sign-in was verified")
    # Without descriptions: SQLite cannot add a column that has both a comment and a default.
    email_epoch = fields.IntField(default=0, db_default=0)  # the user's when it opened; it counts for EMAIL alone
    code_epoch = fields.IntField(default=0, db_default=0)  # the user's when it opened; it counts for EXTERNAL_JWT alone
    opened_as_admin = fields.BooleanField(
        default=False, db_default=False
    )  # whether its user was an ADMIN when it opened
    carrier = fields.CharEnumField(TokenTransport, max_length=16)
    secret_id = fields.CharField(max_length=36, null=True, description="the JWT secret whose code opened it")
    token_hash = fields.CharField(max_length=64, unique=True)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(db_index=True)
    last_seen_at = fields.DatetimeField(description="to 5 minutes")
    proven_at = fields.DatetimeField(null=True)  # when its user gave an email code again; null: not since it opened
    idle_until = fields.DatetimeField(null=True)  # when it ends without a request; null: it has no idle end
    ip_address = fields.CharField(max_length=45, null=True)
    user_agent = fields.CharField(max_length=256, null=True)

    class Meta:
        table = "sessions"
        indexes = (("user_serial", "id"),)


# Only describes the table for migrations: its rows are read and written by SQL.
class SessionCutoff(Model):
    """Ends the sessions of a whole method (those of an older epoch) or of a secret (all of them) at one stroke."""

    scope = fields.CharField(max_length=36, primary_key=True, description="a SignInMethod, or the id of a JWT secret")
    epoch = fields.IntField()

    class Meta:
        table = "session_cutoffs"


class SigningKeyState(StrEnum):
    """NEXT is published and does not sign yet. CURRENT signs. RETIRED is published until its last token has expired."""

    NEXT = "NEXT"
    CURRENT = "CURRENT"
    RETIRED = "RETIRED"


class SigningKey(Model):
    """An ES256 key for access tokens (RFC 7518, 3.4)."""

    kid = fields.CharField(max_length=36, primary_key=True)
    state = fields.CharEnumField(SigningKeyState, max_length=16)
    encrypted_private_key = fields.TextField(description="PEM under the operator's encryption key")
    public_jwk = fields.TextField(description="JSON (RFC 7517)")
    created_at = fields.DatetimeField()
    retired_at = fields.DatetimeField(null=True)

    class Meta:
        table = "signing_keys"


class SentForm(Model):
    """A form of the panel that was sent, so that a second press of its button does nothing."""

    id = fields.CharField(max_length=64, primary_key=True, description="hash of the ID in the form and of the session")
    location = fields.TextField(null=True, description="the page after the form, null while the form is being handled")
    expires_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "sent_forms"


class ShownSecret(Model):
    """A secret that was just made, while the page that shows it this once can still be reloaded."""

    id = fields.CharField(max_length=36, primary_key=True)
    session_id = fields.CharField(max_length=36, description="whose page shows it")
    kind = fields.CharField(max_length=16)
    encrypted_secret = fields.TextField()
    expires_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "shown_secrets"
