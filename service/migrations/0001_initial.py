from tortoise import migrations
from tortoise.migrations import operations as ops
from service.accounts.models import UserOrigin, UserRole, UserStatus
from service.api_keys.models import ApiKeyScope
from service.external_auth.policy import EmailLinking
from service.sessions.models import TokenTransport, SignInMethod, SigningKeyState
from tortoise import fields
from tortoise.indexes import Index

class Migration(migrations.Migration):
    initial = True

    operations = [
        ops.CreateModel(
            name='ApiKey',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=36)),
                ('name', fields.CharField(max_length=100)),
                ('hint', fields.CharField(max_length=4)),
                ('token_hash', fields.CharField(unique=True, max_length=64)),
                ('scope', fields.CharEnumField(description='READ: READ\nADMIN: ADMIN', enum_type=ApiKeyScope, max_length=16)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('expires_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('revoked_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('last_used_at', fields.DatetimeField(null=True, description='to the minute', auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'api_keys', 'app': 'doorcode', 'pk_attr': 'id', 'table_description': 'A bearer token of a machine, of which only the hash is kept.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='AuditEvent',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, description='UUIDv7', max_length=36)),
                ('action', fields.CharField(max_length=64)),
                ('actor', fields.CharField(max_length=300)),
                ('user_id', fields.CharField(null=True, description='as text: it outlives the user', max_length=255)),
                ('secret_id', fields.CharField(null=True, max_length=36)),
                ('detail', fields.TextField(default='{}', description='JSON', unique=False)),
                ('count', fields.IntField(default=1, description='how often it happened within the hour, where events are folded')),
                ('fold_key', fields.CharField(null=True, unique=True, description='hash of person, reason and hour', max_length=64)),
                ('ip_address', fields.CharField(null=True, max_length=45)),
                ('reference', fields.CharField(null=True, max_length=16)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'audit_events', 'app': 'doorcode', 'indexes': [Index(fields=['created_at', 'id']), Index(fields=['user_id', 'created_at']), Index(fields=['action', 'created_at'])], 'pk_attr': 'id', 'table_description': 'Who did what to which user or secret, from where. Never holds a code, a token or a secret.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='ExternalAuth',
            fields=[
                ('id', fields.IntField(generated=False, primary_key=True, unique=True, db_index=True)),
                ('version', fields.BigIntField(default=0)),
                ('enabled', fields.BooleanField(default=False)),
                ('session_epoch', fields.IntField(default=0, description='raised to end every session that a code opened')),
                ('require_expiry', fields.BooleanField(default=False)),
                ('max_lifetime_seconds', fields.IntField(null=True)),
                ('single_use', fields.BooleanField(default=False)),
                ('session_ends_with_code', fields.BooleanField(default=False)),
                ('clock_skew_seconds', fields.IntField(default=60)),
                ('issuer', fields.CharField(null=True, max_length=255)),
                ('audience', fields.CharField(null=True, max_length=255)),
                ('email_linking', fields.CharEnumField(default=EmailLinking.REFUSE, description='REFUSE: REFUSE\nLINK: LINK', enum_type=EmailLinking, max_length=16)),
            ],
            options={'table': 'external_auth', 'app': 'doorcode', 'pk_attr': 'id', 'table_description': 'One row: the switch and the policy. `version` is raised by every change of it or of a secret, so that one read tells all.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='JwtSecret',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, description='also the `kid` that a code may name', max_length=36)),
                ('encrypted_secret', fields.TextField(unique=False)),
                ('hint', fields.CharField(max_length=4)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('retires_at', fields.DatetimeField(null=True, description='until when it still verifies, once replaced', auto_now=False, auto_now_add=False)),
                ('revoked_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ('last_used_at', fields.DatetimeField(null=True, description='to the minute', auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'jwt_secrets', 'app': 'doorcode', 'pk_attr': 'id', 'table_description': 'A secret that signs codes. The current one has neither `retires_at` nor `revoked_at`, and there is one at most.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='SeatSample',
            fields=[
                ('day', fields.DateField(primary_key=True, unique=True, db_index=True)),
                ('used', fields.BigIntField()),
                ('seat_limit', fields.IntField(null=True)),
            ],
            options={'table': 'seat_samples', 'app': 'doorcode', 'pk_attr': 'day', 'table_description': 'How many seats were used, and the limit, at the end of a day (UTC) on which either changed.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='Seats',
            fields=[
                ('id', fields.IntField(generated=False, primary_key=True, unique=True, db_index=True)),
                ('seat_limit', fields.IntField(null=True, description='null: no limit')),
                ('active_email', fields.BigIntField(default=0)),
                ('active_invitation', fields.BigIntField(default=0)),
                ('active_external_jwt', fields.BigIntField(default=0)),
                ('deactivated_email', fields.BigIntField(default=0)),
                ('deactivated_invitation', fields.BigIntField(default=0)),
                ('deactivated_external_jwt', fields.BigIntField(default=0)),
            ],
            options={'table': 'seats', 'app': 'doorcode', 'pk_attr': 'id', 'table_description': 'One row: the limit, and how many users of each origin and status there are. Locking it is taking a number in the queue.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='Session',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, description='UUIDv7: in the order of opening', max_length=36)),
                ('user_serial', fields.BigIntField()),
                ('user_epoch', fields.IntField(description="the user's session_epoch when it opened")),
                ('method', fields.CharEnumField(description='EMAIL: EMAIL\nEXTERNAL_JWT: EXTERNAL_JWT', enum_type=SignInMethod, max_length=16)),
                ('method_epoch', fields.IntField(default=0, description="the method's epoch when the sign-in was verified")),
                ('carrier', fields.CharEnumField(description='BEARER: BEARER\nCOOKIE: COOKIE\nADMIN_COOKIE: ADMIN_COOKIE', enum_type=TokenTransport, max_length=16)),
                ('secret_id', fields.CharField(null=True, description='the JWT secret whose code opened it', max_length=36)),
                ('token_hash', fields.CharField(unique=True, max_length=64)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('expires_at', fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
                ('last_seen_at', fields.DatetimeField(description='to 5 minutes', auto_now=False, auto_now_add=False)),
                ('ip_address', fields.CharField(null=True, max_length=45)),
                ('user_agent', fields.CharField(null=True, max_length=256)),
            ],
            options={'table': 'sessions', 'app': 'doorcode', 'indexes': [Index(fields=['user_serial', 'id'])], 'pk_attr': 'id', 'table_description': 'A sign-in that lasts. Live while it has not expired and nothing that opened it has been ended since.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='SessionCutoff',
            fields=[
                ('scope', fields.CharField(primary_key=True, unique=True, db_index=True, description='a SignInMethod, or the id of a JWT secret', max_length=36)),
                ('epoch', fields.IntField()),
            ],
            options={'table': 'session_cutoffs', 'app': 'doorcode', 'pk_attr': 'scope', 'table_description': 'Ends the sessions of a whole method (those of an older epoch) or of a secret (all of them) at one stroke.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='SigningKey',
            fields=[
                ('kid', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=36)),
                ('state', fields.CharEnumField(description='NEXT: NEXT\nCURRENT: CURRENT\nRETIRED: RETIRED', enum_type=SigningKeyState, max_length=16)),
                ('encrypted_private_key', fields.TextField(description="PEM under the operator's encryption key", unique=False)),
                ('public_jwk', fields.TextField(description='JSON (RFC 7517)', unique=False)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('retired_at', fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'signing_keys', 'app': 'doorcode', 'pk_attr': 'kid', 'table_description': 'An ES256 key for access tokens (RFC 7518, 3.4).'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='UsedCode',
            fields=[
                ('id', fields.CharField(primary_key=True, unique=True, db_index=True, description="SHA-256 of the secret's id and the jti", max_length=64)),
                ('expires_at', fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'used_codes', 'app': 'doorcode', 'pk_attr': 'id', 'table_description': 'A code that must not work twice, remembered until it would expire anyway.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='User',
            fields=[
                ('serial', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True, description='never used twice, so a session outlives no user whose id is made anew')),
                ('id', fields.CharField(unique=True, max_length=255)),
                ('external_id', fields.CharField(null=True, unique=True, max_length=255)),
                ('email', fields.CharField(null=True, unique=True, description='normalised, so that two users never share one', max_length=320)),
                ('metadata', fields.TextField(default='{}', description='JSON text: jsonb would refuse a NUL, which JSON allows', unique=False)),
                ('origin', fields.CharEnumField(description='EMAIL: EMAIL\nINVITATION: INVITATION\nEXTERNAL_JWT: EXTERNAL_JWT', enum_type=UserOrigin, max_length=16)),
                ('role', fields.CharEnumField(default=UserRole.MEMBER, description='MEMBER: MEMBER\nADMIN: ADMIN', enum_type=UserRole, max_length=16)),
                ('status', fields.CharEnumField(default=UserStatus.ACTIVE, description='ACTIVE: ACTIVE\nDEACTIVATED: DEACTIVATED', enum_type=UserStatus, max_length=16)),
                ('session_epoch', fields.IntField(default=0, description='raised to end every session that was opened under the one before')),
                ('search_text', fields.TextField(default='', description='id, external id and email, each on a line of its own, in lower case', unique=False)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ('last_seen_at', fields.DatetimeField(null=True, description='to the hour', auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'users', 'app': 'doorcode', 'indexes': [Index(fields=['created_at', 'id']), Index(fields=['last_seen_at', 'id'])], 'pk_attr': 'serial', 'table_description': 'A person with a place here.'},
            bases=['Model'],
        ),
    ]
