from tortoise import migrations
from tortoise.migrations import operations as ops
from service.email_login.models import SignUpMode
from tortoise import fields

class Migration(migrations.Migration):
    dependencies = [('doorcode', '0002_rules')]

    initial = False

    operations = [
        ops.CreateModel(
            name='CodeAllowance',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, description='hash of what is counted', max_length=64)),
                ('used', fields.IntField()),
                ('ends_at', fields.DatetimeField(db_index=True, description='an hour after the first', auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'email_code_allowances', 'app': 'doorcode', 'pk_attr': 'id', 'table_description': 'How many codes were asked for within an hour, of an address or from a network.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='EmailCode',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, description='128 random bits, known to whoever asked', max_length=22)),
                ('email', fields.CharField(description='normalised', max_length=320)),
                ('code_hash', fields.CharField(description='keyed, so that nobody finds 6 digits by trying them all', max_length=64)),
                ('tries', fields.IntField(default=0)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('expires_at', fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
                ('used_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'email_codes', 'app': 'doorcode', 'pk_attr': 'id', 'table_description': 'A code that was asked for, by anyone, for any address: also for one that gets no mail.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='EmailLogin',
            fields=[
                ('id', fields.IntField(generated=False, primary_key=True, unique=True, db_index=True)),
                ('enabled', fields.BooleanField(default=True)),
                ('sign_up', fields.CharEnumField(default=SignUpMode.INVITATION, description='INVITATION: INVITATION\nOPEN: OPEN', enum_type=SignUpMode, max_length=16)),
            ],
            options={'table': 'email_login', 'app': 'doorcode', 'pk_attr': 'id', 'table_description': 'One row: the switch, and who may come in.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='OutgoingMail',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, description='UUIDv7', max_length=36)),
                ('encrypted_letter', fields.TextField(description="to whom and what, under the operator's encryption key", unique=False)),
                ('tries', fields.IntField(default=0)),
                ('due_at', fields.DatetimeField(db_index=True, description='not before, and while it is being sent, when to try again', auto_now=False, auto_now_add=False)),
                ('expires_at', fields.DatetimeField(db_index=True, description='when it is of no use any more', auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'outgoing_mails', 'app': 'doorcode', 'pk_attr': 'id', 'table_description': 'A mail that is still to be sent: it outlives a crash and a restart, and goes when it was sent or is of no use.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='SignInLink',
            fields=[
                ('holder', fields.BigIntField(generated=False, primary_key=True, unique=True, db_index=True, description='serial of the invited user, 0 for whoever sets the service up')),
                ('token_hash', fields.CharField(unique=True, max_length=64)),
                ('email', fields.CharField(null=True, description='of the user then: another address, another person', max_length=320)),
                ('expires_at', fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'sign_in_links', 'app': 'doorcode', 'pk_attr': 'holder', 'table_description': 'A one-time link. There is one of each holder at most, so that a new one voids the old.'},
            bases=['Model'],
        ),
        ops.RunSQL("INSERT INTO email_login (id, enabled, sign_up) VALUES (1, TRUE, 'INVITATION')"),
    ]
