from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields

class Migration(migrations.Migration):
    dependencies = [('doorcode', '0003_email_login')]

    initial = False

    operations = [
        ops.CreateModel(
            name='ShownSecret',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=36)),
                ('session_id', fields.CharField(description='whose page shows it', max_length=36)),
                ('kind', fields.CharField(max_length=16)),
                ('encrypted_secret', fields.TextField(unique=False)),
                ('expires_at', fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'shown_secrets', 'app': 'doorcode', 'pk_attr': 'id', 'table_description': 'A secret that was just made, while the page that shows it this once can still be reloaded.'},
            bases=['Model'],
        ),
    ]
