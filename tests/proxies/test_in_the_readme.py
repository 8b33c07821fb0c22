"""What the tests run is what the README shows: configurations, operations and samples, word for word."""

from pathlib import Path

import pytest

from tests.libraries.node import SAMPLES
from tests.proxies.running import CONFIGURATIONS
from tests.servers import ROOT

SHOWN = [
    *(
        CONFIGURATIONS / name
        for name in ("tls.nginx.conf", "one-host.nginx.conf", "forward-auth.nginx.conf", "Caddyfile")
    ),
    *sorted(SAMPLES.iterdir()),
]


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.name)
def test_readme_shows_it(path: Path) -> None:
    text = (ROOT / "README.md").read_text()

    assert f"\n{path.read_text()}```\n" in text
