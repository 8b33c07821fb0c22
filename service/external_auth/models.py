"""The tables of JWT sign-in: the configuration row, the signing secrets and the used codes."""

from tortoise import fields
from tortoise.models import Model

from service.external_auth.policy import EmailLinking, Provisioning


class ExternalAuth(Model):
    """One row: the switch and the policy. `version` is raised by every change of it or of a secret, so that one read tells all."""

    id = fields.IntField(primary_key=True, generated=False)
    version = fields.BigIntField(default=0)
    enabled = fields.BooleanField(default=False)
    session_epoch = fields.IntField(default=0, description="raised to end every session that a code opened")
    codes_valid_from = fields.DatetimeField(null=True)  # a code issued before is refused; to the second
    require_expiry = fields.BooleanField(default=False)
    max_lifetime_seconds = fields.IntField(null=True)
    single_use = fields.BooleanField(default=False)
    session_ends_with_code = fields.BooleanField(default=False)
    clock_skew_seconds = fields.IntField(default=60)
    issuer = fields.CharField(max_length=255, null=True)
    audience = fields.CharField(max_length=255, null=True)
    email_linking = fields.CharEnumField(EmailLinking, max_length=16, default=EmailLinking.REFUSE)
    shared_metadata = fields.TextField(default="", db_default="")  # names, separated by commas
    groups_member = fields.CharField(max_length=255, null=True)
    provisioning = fields.CharEnumField(
        Provisioning, max_length=16, default=Provisioning.CREATE, db_default=Provisioning.CREATE
    )
    trust_emails = fields.BooleanField(default=True, db_default=True)
    sign_in_url = fields.CharField(max_length=2048, null=True, description="where a person without a code signs in")
    sign_out_url = fields.CharField(max_length=2048, null=True)
    start_automatically = fields.BooleanField(default=False, db_default=False)
    require_state = fields.BooleanField(default=False, db_default=False)

    class Meta:
        table = "external_auth"


class JwtSecret(Model):
    """A secret that signs codes. The current one has neither `retires_at` nor `revoked_at`, and there is one at most."""

    id = fields.CharField(max_length=36, primary_key=True, description="also the `kid` that a code may name")
    encrypted_secret = fields.TextField()
    hint = fields.CharField(max_length=4)
    created_at = fields.DatetimeField()
    retires_at = fields.DatetimeField(null=True, description="until when it still verifies, once replaced")
    revoked_at = fields.DatetimeField(null=True)
    last_used_at = fields.DatetimeField(null=True, description="to the minute")
    name = fields.CharField(max_length=100, default="", db_default="")
    note = fields.CharField(max_length=500, default="", db_default="")

    class Meta:
        table = "jwt_secrets"


# Only describes the table for migrations: its rows are read and written by SQL.
class UsedCode(Model):
    """A code that must not work twice, remembered until it would expire anyway."""

    id = fields.CharField(max_length=64, primary_key=True, description="SHA-256 of the secret's id and the jti")
    expires_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "used_codes"


class HeldCode(Model):
    """A code of a link login, until a page of this service finishes it. Encrypted with a key that is not stored."""

    id = fields.CharField(max_length=64, primary_key=True, description="SHA-256 of the one-time ID")
    encrypted_link = fields.TextField()
    expires_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "held_codes"
