"""The names of browsers in the panel."""

import pytest

from service.web.admin.browsers import browser_name, browser_names

_MOZILLA = "Mozilla/5.0"
_LIKE = "(KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (f"{_MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 {_LIKE} Chrome/140.0.0.0 Safari/537.36", "Chrome on macOS"),
        (f"{_MOZILLA} (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 {_LIKE} Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        (f"{_MOZILLA} (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0", "Firefox on Linux"),
        (f"{_MOZILLA} (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 {_LIKE} Version/18.0 Mobile/15E148 Safari/604.1", "Mobile Safari on iOS"),
        ("curl/8.5.0", "curl"),
        ("our backend", "our backend"),
        ("x" * 500, "x" * 60),
    ],
)  # fmt: skip
def test_name_says_browser_and_system(user_agent: str, name: str) -> None:
    assert browser_name(user_agent) == name


async def test_absent_user_agents_have_no_name() -> None:
    assert await browser_names([None, "", "curl/8.5.0"]) == {"curl/8.5.0": "curl"}
