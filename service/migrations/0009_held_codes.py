"""The table of codes that wait a minute for a page of this service to finish a link login."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields

class Migration(migrations.Migration):
    dependencies = [('doorcode', '0008_verified_emails')]

    initial = False

    operations = [
        ops.CreateModel(
            name='HeldCode',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, description='SHA-256 of the one-time ID', max_length=64)),
                ('encrypted_link', fields.TextField(unique=False)),
                ('expires_at', fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'held_codes', 'app': 'doorcode', 'pk_attr': 'id', 'table_description': 'A code of a link login, until a page of this service finishes it. Encrypted with a key that is not stored.'},
            bases=['Model'],
        ),
    ]
