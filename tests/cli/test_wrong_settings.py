"""Each setting with a wrong value stops `doorcode serve` with one line and exit status 1."""

import pytest

from service.settings import Settings
from tests.cli.conftest import Command
from tests.wrong_settings import WRONG_ANYWHERE, WRONG_VALUES


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """No database is opened."""
    return sqlite_url


@pytest.mark.parametrize("name", Settings.model_fields)
def test_wrong_setting_stops_the_start(doorcode: Command, name: str) -> None:
    for value in (*WRONG_VALUES[name.upper()], *WRONG_ANYWHERE):
        if "\0" in value:  # no environment can hold it
            continue
        ran = doorcode("serve", **{name: value})
        assert (ran.exit_code, ran.stdout) == (1, ""), value
        assert ran.stderr.startswith(f"DOORCODE_{name.upper()}: "), value
        assert ran.stderr.count("\n") == 1, value
        assert "Traceback" not in ran.stderr
