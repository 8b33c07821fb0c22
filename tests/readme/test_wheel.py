"""The wheel has the chapters and the samples: an installed Doorcode serves the guide without a checkout."""

import zipfile
from pathlib import Path

import pytest
from flit_core import buildapi  # type: ignore[import-untyped]

from tests.processes import ROOT
from tests.readme.document import GUIDE


def test_wheel_has_every_file_of_the_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    wheel = tmp_path / buildapi.build_wheel(str(tmp_path))

    files = {path.relative_to(ROOT).as_posix() for path in GUIDE.rglob("*") if path.is_file()}
    assert len(files) > 25
    assert files <= set(zipfile.ZipFile(wheel).namelist())
