"""The trigram index for the search of users."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor

from service.accounts.search_index import make_search_index


async def make_index(_apps: object, editor: BaseSchemaEditor) -> None:
    """Make the index, where the database can have it."""
    await make_search_index(editor.client)


class Migration(migrations.Migration):
    dependencies = [("doorcode", "0016_groups")]

    operations = [ops.RunPython(make_index)]
