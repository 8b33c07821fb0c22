"""Codes that were issued before a moment are refused, also after their user was deleted."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields

class Migration(migrations.Migration):
    dependencies = [('doorcode', '0010_sent_forms')]

    initial = False

    operations = [
        ops.CreateModel(
            name='CodeCutoff',
            fields=[
                ('subject_hash', fields.CharField(primary_key=True, unique=True, db_index=True, description='keyed hash of the external ID', max_length=64)),
                ('codes_valid_from', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('expires_at', fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'code_cutoffs', 'app': 'doorcode', 'pk_attr': 'subject_hash', 'table_description': 'Since when codes of an ID are accepted that belongs to no user any more. Kept until no such code can matter.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='SubjectKey',
            fields=[
                ('id', fields.IntField(generated=False, primary_key=True, unique=True, db_index=True)),
                ('encrypted_key', fields.TextField(unique=False)),
            ],
            options={'table': 'subject_keys', 'app': 'doorcode', 'pk_attr': 'id', 'table_description': 'One row: the key of the hashes in code_cutoffs. It never changes, so that the hashes outlive every encryption key.'},
            bases=['Model'],
        ),
        ops.AddField(
            model_name='ExternalAuth',
            name='codes_valid_from',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name='Session',
            name='code_epoch',
            field=fields.IntField(default=0, db_default=0),
        ),
        ops.AddField(
            model_name='User',
            name='code_epoch',
            field=fields.IntField(default=0, db_default=0),
        ),
        ops.AddField(
            model_name='User',
            name='codes_valid_from',
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
    ]
