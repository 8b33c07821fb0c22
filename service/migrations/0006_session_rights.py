"""What a session remembers of its user when it opened, so that it never gets more rights later.

Sessions that are open now get no admin rights: nothing says whether their users were admins when they opened.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields

class Migration(migrations.Migration):
    dependencies = [('doorcode', '0005_indexes')]

    initial = False

    operations = [
        ops.AddField(
            model_name='EmailLogin',
            name='session_epoch',
            field=fields.IntField(default=0, db_default=0),
        ),
        ops.AddField(
            model_name='Session',
            name='email_epoch',
            field=fields.IntField(default=0, db_default=0),
        ),
        ops.AddField(
            model_name='Session',
            name='opened_as_admin',
            field=fields.BooleanField(default=False, db_default=False),
        ),
        ops.AddField(
            model_name='User',
            name='email_epoch',
            field=fields.IntField(default=0, db_default=0),
        ),
    ]
