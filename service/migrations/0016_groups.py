"""Groups of users, and the metadata that other services may see.

Metadata is stored in a form in which the filter finds a member of the object itself, but no member of an object inside it.
"""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor

from service.accounts.metadata import dump_metadata, load_metadata

_BATCH = 5_000


async def order_by_bytes(_apps: object, editor: BaseSchemaEditor) -> None:
    """On PostgreSQL, compare the names by bytes, as SQLite does."""
    if editor.client.capabilities.dialect == "postgres":
        for table in ("user_groups", "group_members"):
            await editor.client.execute_query(f'ALTER TABLE {table} ALTER COLUMN name TYPE varchar(128) COLLATE "C"')


async def write_metadata_anew(_apps: object, editor: BaseSchemaEditor) -> None:
    """Write the metadata that holds arrays or objects in the form of `dump_metadata`."""
    first, second = ("$1", "$2") if editor.client.capabilities.dialect == "postgres" else ("?1", "?2")
    serial = 0
    while True:
        nested = await editor.client.execute_query_dict(
            f"SELECT serial, metadata FROM users WHERE serial > {first} AND (metadata LIKE '%:[%' OR metadata LIKE '%:{{%')"
            f" ORDER BY serial LIMIT {_BATCH}",
            [serial],
        )
        for row in nested:
            text = dump_metadata(load_metadata(row["metadata"]))
            await editor.client.execute_query(
                f"UPDATE users SET metadata = {first} WHERE serial = {second}", [text, row["serial"]]
            )
        if len(nested) < _BATCH:
            return
        serial = nested[-1]["serial"]


class Migration(migrations.Migration):
    dependencies = [("doorcode", "0015_idle_sessions")]

    initial = False

    operations = [
        ops.CreateModel(
            name="GroupMember",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("name", fields.CharField(max_length=128)),
                ("user_serial", fields.BigIntField(db_index=True)),
            ],
            options={
                "table": "group_members",
                "app": "doorcode",
                "unique_together": (("name", "user_serial"),),
                "pk_attr": "id",
                "table_description": "A user in a group, whatever put the user there.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="UserGroup",
            fields=[
                ("name", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=128)),
                ("member_count", fields.BigIntField(default=0)),
            ],
            options={
                "table": "user_groups",
                "app": "doorcode",
                "pk_attr": "name",
                "table_description": "A group that has members, and how many of them are active, counted in the transaction that changes it.",
            },
            bases=["Model"],
        ),
        ops.RunPython(order_by_bytes),
        ops.AddField(
            model_name="ExternalAuth", name="groups_member", field=fields.CharField(null=True, max_length=255)
        ),
        ops.AddField(
            model_name="ExternalAuth",
            name="shared_metadata",
            field=fields.TextField(default="", db_default="", unique=False),
        ),
        ops.AddField(
            model_name="User",
            name="admin_groups",
            field=fields.TextField(default="[]", db_default="[]", unique=False),
        ),
        ops.AddField(
            model_name="User",
            name="code_groups",
            field=fields.TextField(default="[]", db_default="[]", unique=False),
        ),
        ops.RunPython(write_metadata_anew),
    ]
