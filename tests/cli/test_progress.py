"""The progress of long commands: bars on a terminal, a line for every 50,000 rows elsewhere."""

import io

import pytest
from rich.console import Console

from service.cli import progress


def shown(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, total: int | None) -> str:
    out = io.StringIO()
    monkeypatch.setattr(progress, "stderr", Console(file=out, force_terminal=terminal, width=100))
    with progress.progress() as tell:
        for rows in range(25_000, 125_000, 25_000):
            tell("Copying users", rows, total)
    return out.getvalue()


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, terminal=True, total=100_000)
    assert "Copying users" in text
    assert "100000/100000" in text


@pytest.mark.parametrize(("total", "end"), [(200_000, " of 200,000."), (None, ".")])
def test_few_lines_elsewhere(monkeypatch: pytest.MonkeyPatch, total: int | None, end: str) -> None:
    text = shown(monkeypatch, terminal=False, total=total)
    assert text.splitlines() == [f"Copying users: {rows} rows{end}" for rows in ("50,000", "100,000")]
