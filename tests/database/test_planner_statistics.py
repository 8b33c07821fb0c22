"""The statistics of SQLite's planner: a filter that few rows match is answered by its index."""

import sqlite3
from contextlib import closing

from service.accounts.models import User
from service.database import keep_planner_statistics
from service.instance import Instance
from tests.actions import member


async def test_users_are_measured(instance: Instance) -> None:
    for number in range(300):
        await member(f"user-{number}@example.com")
    await keep_planner_statistics()
    assert await User.all().count() == 300
    if instance.settings.uses_sqlite:
        with closing(sqlite3.connect(instance.settings.sqlite_path)) as other:
            measured = dict(other.execute("SELECT idx, stat FROM sqlite_stat1 WHERE tbl = 'users'").fetchall())
        assert any(stat.startswith("300 ") for stat in measured.values()), measured
