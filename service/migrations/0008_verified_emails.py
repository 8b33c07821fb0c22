"""Verified and claimed addresses of users. Every address that is stored now becomes a verified one.

The unique column gets another name and keeps its constraint and its values, so that no table is made again on SQLite.
"""

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor


async def copy_addresses(_apps: object, editor: BaseSchemaEditor) -> None:
    """Show the verified addresses. On PostgreSQL, compare them by bytes, as every text that is ordered by."""
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_query('ALTER TABLE users ALTER COLUMN email TYPE varchar(320) COLLATE "C"')
    await editor.client.execute_query("UPDATE users SET email = verified_email WHERE verified_email IS NOT NULL")


class Migration(migrations.Migration):
    dependencies = [("doorcode", "0007_key_scope_users")]

    initial = False

    operations = [
        ops.RenameField(model_name="User", old_name="email", new_name="verified_email"),
        ops.AddField(model_name="User", name="email", field=fields.CharField(null=True, max_length=320)),
        ops.RunPython(copy_addresses),
        ops.AddIndex(model_name="User", index=Index(fields=["email", "id"])),
        ops.AddField(
            model_name="ExternalAuth",
            name="trust_emails",
            field=fields.BooleanField(default=True, db_default=True),
        ),
    ]
