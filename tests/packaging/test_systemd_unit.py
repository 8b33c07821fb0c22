"""The unit of the guide, judged by systemd itself."""

import re
import subprocess
import sys
from pathlib import Path

from service.cli.serving import SHUTDOWN_GRACE
from service.settings import Settings
from tests.processes import ROOT
from tests.programs import Programs

UNIT = ROOT / "service" / "guide" / "samples" / "doorcode.service"
MOST_EXPOSURE = 3.0


def assignments() -> dict[str, str]:
    lines = [line for line in UNIT.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_systemd_finds_no_fault(programs: Programs, tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/doorcode/.venv/bin/doorcode", sys.executable))
    ran = subprocess.run(
        [programs.path("systemd-analyze"), "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, [line for line in ran.stderr.splitlines() if "doorcode" in line]) == (0, []), ran.stderr


def test_exposure_is_low(programs: Programs) -> None:
    ran = subprocess.run(
        [programs.path("systemd-analyze"), "security", "--offline=true", "--no-pager", UNIT],
        capture_output=True,
        text=True,
        check=True,
    )
    exposure = re.search(r"Overall exposure level for doorcode\.service: ([0-9.]+)", ran.stdout)
    assert exposure
    assert float(exposure[1]) < MOST_EXPOSURE


def test_unit_fits_what_the_program_does() -> None:
    unit = assignments()
    assert int(unit["TimeoutStopSec"]) > SHUTDOWN_GRACE
    assert int(unit["TimeoutStartSec"]) > Settings().database_wait
    assert (unit["Type"], unit["ExecReload"]) == ("notify", "kill -HUP $MAINPID")
