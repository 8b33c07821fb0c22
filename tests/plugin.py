"""pytest's behaviour here: `--quick`, what a machine lacks, and no skipped test in CI."""

import os
import sys
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.programs import Programs, installation, notice

_DURATION = (
    "All tests take about 15 minutes on two cores. --quick takes about one: it leaves out tests that start programs."
)
_POSTGRES = {"initdb", "pg_ctl"}  # the server of the fixture `postgres`, which quick tests use too
_running: list[pytest.Item] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--quick`."""
    parser.addoption("--quick", action="store_true", help="leave out tests that start programs (fixture `programs`)")


@pytest.fixture(scope="session")
def programs() -> Programs:
    """Finds programs. Every test and every fixture that starts a process requests it: so `--quick` knows them."""
    return Programs()


def _starts_programs(item: pytest.Item) -> bool:
    return "programs" in getattr(item, "fixturenames", ())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what `--quick` does not run."""
    if config.getoption("quick"):
        config.hook.pytest_deselected(items=[item for item in items if _starts_programs(item)])
        items[:] = [item for item in items if not _starts_programs(item)]


def pytest_configure() -> None:
    """Fails every test that starts a process without the fixture `programs`: `--quick` would run it."""
    sys.addaudithook(_require_fixture)


def _require_fixture(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen" and _running and not _starts_programs(_running[-1]):
        program = Path(os.fsdecode(arguments[0] or arguments[1][0])).name
        assert program in _POSTGRES, f"a test that starts a process ({program}) must request the fixture `programs`"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Remembers which test runs."""
    _running.append(item)
    try:
        return (yield)
    finally:
        _running.pop()


def _is_run_of_all(config: pytest.Config) -> bool:
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.option.keyword


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Says before a run of all tests how long it takes, and what is skipped."""
    if not _is_run_of_all(config):
        return []
    return [_DURATION, *([] if config.getoption("quick") else notice())]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says at the end how many tests were skipped and why, and what to install."""
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.getreports("skipped"))
    for reason, number in reasons.most_common():
        terminalreporter.write_line(f"SKIPPED {number}: {reason}")
    if reasons and (advice := installation()):
        terminalreporter.write_line(advice)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """In CI a test that is skipped has failed: CI installs all that the tests need."""
    return _failed_if_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    """In CI a file that is skipped has failed."""
    return _failed_if_skipped((yield))


def _failed_if_skipped(report: Any) -> Any:
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"skipped, which CI does not allow: {report.longrepr[2]}"
    return report
