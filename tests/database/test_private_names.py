"""The private names of Tortoise and aiosqlite that `service/database/` and `user_from_row` use, in one list.

An upgrade that renames one fails here with the name, instead of somewhere in a transaction. If it does: read the new
source of Tortoise, mend the file that the message names, and change the list.
"""

import inspect

import aiosqlite
import pytest
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.backends.asyncpg.client import TransactionWrapper as PostgresTransaction
from tortoise.backends.base_postgres import client as postgres_client
from tortoise.backends.sqlite import client as sqlite_client
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionWrapper
from tortoise.context import TortoiseContext

from service.accounts.models import User

POSTGRES, SQLITE = "service/database/postgres.py", "service/database/sqlite.py"
GROUP = "service/database/group_commit.py"
_CLIENT = AsyncpgDBClient(user="u", password=None, database="d", host="h", port=1, connection_name="default")
_FILE = SqliteClient("file", connection_name="default")
USED = [
    (POSTGRES, _CLIENT, "_pool"),
    (POSTGRES, AsyncpgDBClient, "_translate_exceptions"),
    (POSTGRES, AsyncpgDBClient, "create_pool"),
    (POSTGRES, PostgresTransaction(_CLIENT), "_connection"),
    (POSTGRES, PostgresTransaction(_CLIENT), "_finalized"),
    (POSTGRES, postgres_client, "translate_exceptions"),
    (SQLITE, _FILE, "_connection"),
    (SQLITE, _FILE, "_lock"),
    (SQLITE, _FILE, "pragmas"),
    (SQLITE, SqliteTransactionWrapper, "begin"),
    (GROUP, aiosqlite.Connection, "_conn"),
    (GROUP, aiosqlite.Connection, "_execute"),
    (SQLITE, sqlite_client, "translate_exceptions"),
]


def names_used(where: str, owner: object, name: str) -> str:
    """Return what to say if the name is gone."""
    of = getattr(owner, "__name__", type(owner).__name__)
    library = "aiosqlite" if owner is aiosqlite.Connection else "Tortoise"
    return f"{library} has no {of}.{name} any more, which {where} uses. Read its source and mend that file."


@pytest.mark.parametrize(("where", "owner", "name"), USED, ids=[f"{where}-{name}" for where, _, name in USED])
def test_private_name_of_tortoise_exists(where: str, owner: object, name: str) -> None:
    assert hasattr(owner, name), names_used(where, owner, name)


def test_tortoise_can_share_its_context_with_all_tasks() -> None:
    parameters = inspect.signature(TortoiseContext.init).parameters
    assert "_enable_global_fallback" in parameters, names_used(
        "service/database/connection.py", TortoiseContext.init, "_enable_global_fallback"
    )


def test_a_model_has_the_attributes_that_a_user_of_a_row_is_given() -> None:
    """`service/accounts/lookup.py` makes a `User` without Tortoise's own constructor."""
    by_tortoise = set(vars(User._init_from_db(**_COLUMNS)))
    wanted = {"_partial", "_saved_in_db", "_custom_generated_pk", "_await_when_save"}
    assert wanted <= by_tortoise, names_used("service/accounts/lookup.py", User, ", ".join(wanted - by_tortoise))
    assert {name for name in by_tortoise if name.startswith("_")} == wanted


_COLUMNS = dict.fromkeys(User._meta.db_fields)
