"""Metrics that worker processes share: the directory, and what is left of servers that were killed."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.metrics import shared_metrics

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The system's directory for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    os.environ.pop(VARIABLE, None)


def left_behind(parent: Path, *, age: float = 3600) -> Path:
    directory = parent / f"doorcode-metrics-{len(list(parent.iterdir()))}"
    directory.mkdir()
    (directory / "counter_1.db").write_bytes(b"x")
    os.utime(directory, (directory.stat().st_mtime - age,) * 2)
    return directory


def test_directories_of_killed_servers_are_deleted_and_that_of_a_running_one_is_not(temporary: Path) -> None:
    left = [left_behind(temporary), left_behind(temporary, age=0)]
    with shared_metrics():
        assert not any(directory.exists() for directory in left)
        running = Path(os.environ[VARIABLE])
        (running / "counter_2.db").write_bytes(b"x")
        os.utime(running, (0, 0))
        with shared_metrics():
            assert (running / "counter_2.db").exists()
            assert os.environ[VARIABLE] != str(running)
    assert list(temporary.iterdir()) == []


def test_directory_that_another_start_has_just_made_stays(temporary: Path) -> None:
    being_made = Path(tempfile.mkdtemp(prefix="doorcode-metrics-"))
    with shared_metrics():
        assert being_made.exists()
    os.utime(being_made, (0, 0))
    with shared_metrics():
        assert not being_made.exists()


def test_links_and_files_with_such_a_name_are_left_alone(temporary: Path) -> None:
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("x")
    (temporary / "doorcode-metrics-link").symlink_to(elsewhere)
    (temporary / "doorcode-metrics-file").write_text("x")
    with shared_metrics():
        assert (elsewhere / "file").exists()
        assert (temporary / "doorcode-metrics-link").is_symlink()
        assert (temporary / "doorcode-metrics-file").exists()
