"""Sessions with admin rights end when they are idle."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields

class Migration(migrations.Migration):
    dependencies = [('doorcode', '0014_audit_networks')]

    initial = False

    operations = [
        ops.AddField(
            model_name='Session',
            name='idle_until',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
    ]
