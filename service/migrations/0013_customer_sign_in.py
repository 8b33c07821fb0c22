"""Where sign-in starts and ends at the customer's own system."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields

class Migration(migrations.Migration):
    dependencies = [('doorcode', '0012_wrong_codes')]

    initial = False

    operations = [
        ops.AddField(
            model_name='ExternalAuth',
            name='require_state',
            field=fields.BooleanField(default=False, db_default=False),
        ),
        ops.AddField(
            model_name='ExternalAuth',
            name='sign_in_url',
            field=fields.CharField(null=True, description='where a person without a code signs in', max_length=2048),
        ),
        ops.AddField(
            model_name='ExternalAuth',
            name='sign_out_url',
            field=fields.CharField(null=True, max_length=2048),
        ),
        ops.AddField(
            model_name='ExternalAuth',
            name='start_automatically',
            field=fields.BooleanField(default=False, db_default=False),
        ),
    ]
