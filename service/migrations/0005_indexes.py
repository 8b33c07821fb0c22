"""Adds indexes for two queries of long tables: audit events by secret, and users by their last request."""

from tortoise import migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor


async def order_by_last_seen(_apps: object, editor: BaseSchemaEditor) -> None:
    """Add the index on PostgreSQL, which uses an index only if it has nulls at the same end. SQLite needs none."""
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
