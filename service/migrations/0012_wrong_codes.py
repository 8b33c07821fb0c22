"""Known clients of email sign-in, and counts of wrong email codes."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields
from tortoise.indexes import Index

class Migration(migrations.Migration):
    dependencies = [('doorcode', '0011_code_cutoffs')]

    initial = False

    operations = [
        ops.CreateModel(
            name='KnownClient',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, description='keyed hash of the address and the client', max_length=64)),
                ('user_serial', fields.BigIntField()),
                ('kind', fields.CharField(description='NETWORK or DEVICE', max_length=16)),
                ('expires_at', fields.DatetimeField(db_index=True, description='400 days after the last sign-in', auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'known_clients', 'app': 'doorcode', 'indexes': [Index(fields=['user_serial', 'kind', 'expires_at'])], 'pk_attr': 'id', 'table_description': 'A network or a browser from which a user signed in by email: it has allowances of its own.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='WrongCodes',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, description='keyed hash of the address and the source', max_length=64)),
                ('account', fields.CharField(db_index=True, description='keyed hash of the address', max_length=64)),
                ('in_a_row', fields.IntField()),
                ('wait_until', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('expires_at', fields.DatetimeField(db_index=True, description='400 days after the last wrong code', auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'wrong_codes', 'app': 'doorcode', 'pk_attr': 'id', 'table_description': 'How many wrong codes in a row an address has from one source of guesses, and how long the next guess waits.'},
            bases=['Model'],
        ),
    ]
