"""The search finds users by the display name, which is the member `name` of the metadata."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor

from service.accounts.metadata import display_name

_BATCH = 5_000


async def add_names(_apps: object, editor: BaseSchemaEditor) -> None:
    """Add the display name as the last line of the search text, as `User.set_metadata` does."""
    first, second = ("$1", "$2") if editor.client.capabilities.dialect == "postgres" else ("?1", "?2")
    serial = 0
    while True:
        named = await editor.client.execute_query_dict(
            f"SELECT serial, metadata, search_text FROM users WHERE serial > {first} AND metadata LIKE '%\"name\"%'"
            f" ORDER BY serial LIMIT {_BATCH}",
            [serial],
        )
        for row in named:
            name = display_name(row["metadata"])
            line = f"\n{name.casefold()}" if name else ""
            if line and not f"{row['search_text']}\n".endswith(f"{line}\n"):
                await editor.client.execute_query(
                    f"UPDATE users SET search_text = {first} WHERE serial = {second}",
                    [row["search_text"] + line, row["serial"]],
                )
        if len(named) < _BATCH:
            return
        serial = named[-1]["serial"]


class Migration(migrations.Migration):
    dependencies = [("doorcode", "0024_erasures")]

    operations = [ops.RunPython(add_names)]
