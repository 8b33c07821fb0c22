"""The table of API keys."""

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model


class ApiKeyScope(StrEnum):
    """READ runs every admin query. USERS also manages members. ADMIN does all except what needs an admin in person."""

    READ = "READ"
    USERS = "USERS"
    ADMIN = "ADMIN"


class ApiKey(Model):
    """A bearer token of a machine, of which only the hash is kept."""

    id = fields.CharField(max_length=36, primary_key=True)
    name = fields.CharField(max_length=100)
    hint = fields.CharField(max_length=4)
    token_hash = fields.CharField(max_length=64, unique=True)
    scope = fields.CharEnumField(ApiKeyScope, max_length=16)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(null=True)
    revoked_at = fields.DatetimeField(null=True)
    last_used_at = fields.DatetimeField(null=True, description="to the minute")

    class Meta:
        table = "api_keys"
