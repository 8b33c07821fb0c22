"""Redaction: the last filter for everything that is logged."""

import io
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from service.logs import configure_logs
from service.settings import load_settings
from service.tokens import new_token
from tests.logging_state import restored_logging

CODE = jwt.encode({"user": {"id": "crm-42"}, "exp": time.time()}, "a secret, as long as it has to be", "HS256")


@pytest.fixture(params=["json", "console"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[io.StringIO]:
    """Return the text on stderr afterwards."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with restored_logging():
        configure_logs(load_settings({"DOORCODE_LOG_FORMAT": request.param, "DOORCODE_DATA_DIR": str(tmp_path)}))
        yield stream


TOKENS = {
    "code": CODE,
    "cut-off": CODE[:-20],
    "session": new_token("dcs_"),
    "key": new_token("dck_"),
    "link": new_token("dcl_"),
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_what_looks_like_a_code_or_token_is_taken_out(token: str, written: io.StringIO) -> None:
    try:
        raise ValueError(f"the driver quotes {token!r}")
    except ValueError:
        logging.getLogger("a.library").exception("it went wrong with %s=%s", "externalAuthCode", token)
    assert written.getvalue().count("[removed]") == 2
    assert "it went wrong with externalAuthCode=" in written.getvalue()
    for piece in token.split("."):
        assert piece not in written.getvalue()


def test_code_at_the_start_of_a_line_is_taken_out_too(written: io.StringIO) -> None:
    """JSON writes the line's end as a backslash and an n."""
    try:
        raise ValueError(f"two lines:\n{CODE}\n\t{CODE}")
    except ValueError:
        logging.getLogger("a.library").exception("failed")
    assert written.getvalue().count("[removed]") == 2
    assert CODE.split(".")[1] not in written.getvalue()


def test_everything_else_stays(written: io.StringIO) -> None:
    logging.getLogger("a.library").warning("user usr_01a20555dd5a77868247bab4edeb2aba, reference YJK26KSHNC, e.g. eyJ")
    assert "usr_01a20555dd5a77868247bab4edeb2aba, reference YJK26KSHNC, e.g. eyJ" in written.getvalue()
