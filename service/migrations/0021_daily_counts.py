"""Counts of each day, for the overview of the panel."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields

class Migration(migrations.Migration):
    dependencies = [('doorcode', '0020_access_until')]

    initial = False

    operations = [
        ops.CreateModel(
            name='DailyCount',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, description='day, subject and name', max_length=160)),
                ('day', fields.DateField(db_index=True)),
                ('subject', fields.CharField(max_length=16)),
                ('name', fields.CharField(max_length=128)),
                ('count', fields.IntField()),
                ('last_at', fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'daily_counts', 'app': 'doorcode', 'pk_attr': 'id', 'table_description': 'How often something happened on one UTC day.'},
            bases=['Model'],
        ),
    ]
