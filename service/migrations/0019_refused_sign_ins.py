"""The refused sign-ins that persons saw, so that a reference can be looked up."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields
from tortoise.indexes import Index

class Migration(migrations.Migration):
    dependencies = [('doorcode', '0018_fresh_proof')]

    initial = False

    operations = [
        ops.CreateModel(
            name='RefusedSignIn',
            fields=[
                ('reference', fields.CharField(primary_key=True, unique=True, db_index=True, max_length=16)),
                ('method', fields.CharField(max_length=16)),
                ('code', fields.CharField(description='a SignInErrorCode', max_length=32)),
                ('cause', fields.CharField(null=True, max_length=500)),
                ('is_proven', fields.BooleanField(description='whether the person had proved who they are')),
                ('user_id', fields.CharField(null=True, description='as text: it outlives the user', max_length=255)),
                ('email', fields.CharField(null=True, max_length=320)),
                ('secret_id', fields.CharField(null=True, max_length=36)),
                ('ip_address', fields.CharField(null=True, max_length=45)),
                ('network', fields.CharField(description='the IPv4 address, or the /64 of an IPv6 address', max_length=49)),
                ('created_at', fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'refused_sign_ins', 'app': 'doorcode', 'indexes': [Index(fields=['created_at', 'reference']), Index(fields=['code', 'created_at']), Index(fields=['user_id', 'created_at']), Index(fields=['network', 'is_proven', 'created_at'])], 'pk_attr': 'reference', 'table_description': 'A refused sign-in as a person saw it, so that its reference can be looked up. Never holds a code or a token.'},
            bases=['Model'],
        ),
    ]
