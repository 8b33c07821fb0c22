"""For two questions that are asked of long tables: what a secret did, and who was here last."""

from tortoise import migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor


async def order_by_last_seen(_apps: object, editor: BaseSchemaEditor) -> None:
    """PostgreSQL uses no index whose nulls stand at the other end; SQLite has them where they are wanted."""
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_query(
            "CREATE INDEX users_by_last_seen ON users (last_seen_at DESC NULLS LAST, id)"
        )


class Migration(migrations.Migration):
    dependencies = [("doorcode", "0004_shown_secrets")]

    operations = [
        ops.AddIndex(model_name="AuditEvent", index=Index(fields=["secret_id", "created_at"])),
        ops.RunPython(order_by_last_seen),
    ]
