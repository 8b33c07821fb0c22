from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields

class Migration(migrations.Migration):
    dependencies = [('doorcode', '0009_held_codes')]

    initial = False

    operations = [
        ops.CreateModel(
            name='SentForm',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, description='hash of the ID in the form and of the session', max_length=64)),
                ('location', fields.TextField(null=True, description='the page after the form, null while the form is being handled', unique=False)),
                ('expires_at', fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'sent_forms', 'app': 'doorcode', 'pk_attr': 'id', 'table_description': 'A form of the panel that was sent, so that a second press of its button does nothing.'},
            bases=['Model'],
        ),
    ]
