"""A name and a note for each signing secret."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields

class Migration(migrations.Migration):
    dependencies = [('doorcode', '0022_claimed_emails')]

    initial = False

    operations = [
        ops.AddField(
            model_name='JwtSecret',
            name='name',
            field=fields.CharField(default='', db_default='', max_length=100),
        ),
        ops.AddField(
            model_name='JwtSecret',
            name='note',
            field=fields.CharField(default='', db_default='', max_length=500),
        ),
    ]
