"""Adds what models cannot express: single rows, one signing key per live state, and text ordered by bytes."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor

# Compared by bytes, as in SQLite, because the order of a locale differs between machines.
_ORDERED_TEXT = (
    ("users", "id", 255),
    ("users", "external_id", 255),
    ("users", "email", 320),
    ("audit_events", "id", 36),
)


async def order_by_bytes(_apps: object, editor: BaseSchemaEditor) -> None:
    if editor.client.capabilities.dialect == "postgres":
        for table, column, length in _ORDERED_TEXT:
            await editor.client.execute_query(
                f'ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar({length}) COLLATE "C"'
            )


class Migration(migrations.Migration):
    dependencies = [("doorcode", "0001_initial")]

    operations = [
        ops.RunSQL(
            "INSERT INTO seats (id, active_email, active_invitation, active_external_jwt,"
            " deactivated_email, deactivated_invitation, deactivated_external_jwt) VALUES (1, 0, 0, 0, 0, 0, 0)"
        ),
        ops.RunSQL(
            "INSERT INTO external_auth (id, version, enabled, session_epoch, require_expiry, single_use,"
            " session_ends_with_code, clock_skew_seconds, email_linking) VALUES (1, 0, FALSE, 0, FALSE, FALSE, FALSE, 60, 'REFUSE')"
        ),
        ops.RunSQL(
            "CREATE UNIQUE INDEX one_signing_key_of_each_live_state ON signing_keys (state) WHERE state <> 'RETIRED'"
        ),
        ops.RunSQL("CREATE INDEX users_who_are_admins ON users (serial) WHERE role = 'ADMIN'"),
        ops.RunPython(order_by_bytes),
    ]
