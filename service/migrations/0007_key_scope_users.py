"""The scope USERS of API keys. On PostgreSQL only the comment of the column changes."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from service.api_keys.models import ApiKeyScope
from tortoise import fields

class Migration(migrations.Migration):
    dependencies = [('doorcode', '0006_session_rights')]

    initial = False

    operations = [
        ops.AlterField(
            model_name='ApiKey',
            name='scope',
            field=fields.CharEnumField(description='READ: READ\nUSERS: USERS\nADMIN: ADMIN', enum_type=ApiKeyScope, max_length=16),
        ),
    ]
