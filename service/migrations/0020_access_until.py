"""The end of users' access, the policy who may be created by codes, and the domains that may sign up by email."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from service.external_auth.policy import Provisioning
from tortoise import fields


class Migration(migrations.Migration):
    dependencies = [("doorcode", "0019_refused_sign_ins")]

    initial = False

    operations = [
        ops.AddField(
            model_name="EmailLogin",
            name="allowed_domains",
            field=fields.TextField(default="[]", db_default="[]", unique=False),
        ),
        ops.AddField(
            model_name="ExternalAuth",
            name="provisioning",
            field=fields.CharEnumField(
                default=Provisioning.CREATE,
                description="CREATE: CREATE\nEXISTING_ONLY: EXISTING_ONLY",
                db_default=Provisioning.CREATE,
                enum_type=Provisioning,
                max_length=16,
            ),
        ),
        ops.AddField(
            model_name="User",
            name="access_ended",
            field=fields.BooleanField(default=False, db_default=False),
        ),
        ops.AddField(
            model_name="User",
            name="access_until",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        # Only users whose access will still end: a list of users never uses this index, and a count reads few rows.
        ops.RunSQL(
            "CREATE INDEX users_whose_access_ends ON users (access_until)"
            " WHERE status = 'ACTIVE' AND access_until IS NOT NULL"
        ),
    ]
