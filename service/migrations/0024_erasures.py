"""Persons who were erased a moment ago, until what other processes still write of them is erased, too."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields

class Migration(migrations.Migration):
    dependencies = [('doorcode', '0023_secret_names')]

    initial = False

    operations = [
        ops.CreateModel(
            name='Erasure',
            fields=[
                ('pseudonym', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ('encrypted_person', fields.TextField(description='the identifiers of the person, until the erasure is complete', unique=False)),
                ('created_at', fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'erasures', 'app': 'doorcode', 'pk_attr': 'pseudonym', 'table_description': 'A person who was erased a moment ago: what other processes still write of the person is erased, too.'},
            bases=['Model'],
        ),
    ]
