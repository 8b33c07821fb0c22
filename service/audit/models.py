"""The tables of audit events, of refused sign-ins and of daily counts."""

from tortoise import fields
from tortoise.models import Model


class AuditEvent(Model):
    """Who did what to which user or secret, from where. Never holds a code, a token or a secret."""

    id = fields.CharField(max_length=36, primary_key=True, description="UUIDv7")
    action = fields.CharField(max_length=64)
    actor = fields.CharField(max_length=300)
    user_id = fields.CharField(max_length=255, null=True, description="as text: it outlives the user")
    secret_id = fields.CharField(max_length=36, null=True)
    detail = fields.TextField(default="{}", description="JSON")
    count = fields.IntField(default=1, description="how often it happened within the hour, where events are folded")
    fold_key = fields.CharField(max_length=64, unique=True, null=True, description="hash of person, reason and hour")
    ip_address = fields.CharField(max_length=45, null=True)
    network = fields.CharField(max_length=49, null=True, description="the IPv4 address, or the /64 of an IPv6 address")
    reference = fields.CharField(max_length=16, null=True)
    created_at = fields.DatetimeField()

    class Meta:
        table = "audit_events"
        indexes = (
            ("created_at", "id"),
            ("user_id", "created_at"),
            ("action", "created_at"),
            ("secret_id", "created_at"),
            ("actor", "created_at"),
            ("network", "created_at"),
            ("reference",),
        )


class RefusedSignIn(Model):
    """A refused sign-in as a person saw it, so that its reference can be looked up. Never holds a code or a token."""

    reference = fields.CharField(max_length=16, primary_key=True)
    method = fields.CharField(max_length=16)
    code = fields.CharField(max_length=32, description="a SignInErrorCode")
    cause = fields.CharField(max_length=500, null=True)
    is_proven = fields.BooleanField(description="whether the person had proved who they are")
    user_id = fields.CharField(max_length=255, null=True, description="as text: it outlives the user")
    email = fields.CharField(max_length=320, null=True)
    secret_id = fields.CharField(max_length=36, null=True)
    ip_address = fields.CharField(max_length=45, null=True)
    network = fields.CharField(max_length=49, description="the IPv4 address, or the /64 of an IPv6 address")
    created_at = fields.DatetimeField()

    class Meta:
        table = "refused_sign_ins"
        indexes = (
            ("created_at", "reference"),
            ("code", "created_at"),
            ("user_id", "created_at"),
            ("network", "is_proven", "created_at"),
        )


class DailyCount(Model):
    """How often something happened on one UTC day."""

    id = fields.CharField(max_length=160, primary_key=True, description="day, subject and name")
    day = fields.DateField(db_index=True)
    subject = fields.CharField(max_length=16)
    name = fields.CharField(max_length=128)
    count = fields.IntField()
    last_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "daily_counts"


class Erasure(Model):
    """A person who was erased a moment ago: what other processes still write of the person is erased, too."""

    pseudonym = fields.CharField(max_length=64, primary_key=True)
    encrypted_person = fields.TextField(description="the identifiers of the person, until the erasure is complete")
    created_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "erasures"
