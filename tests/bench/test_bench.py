"""The benchmark finds that both services do the work they are timed for. How fast they are depends on the machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("programs")


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_both_services_do_the_work(database: str) -> None:
    assert bench(f"--db={database}", "--rounds=0").strip() == "Both services refuse bad codes and store only hashes."


def test_neither_service_makes_an_error() -> None:
    table = bench("--db=sqlite", "--rounds=1", "--seconds=0.2", "--operations=exchange,viewer,mixed").splitlines()[2:]
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in table if line.startswith("|")]
    assert rows == [["sqlite", "exchange"], ["sqlite", "viewer"], ["sqlite", "mixed"]]


def bench(*options: str) -> str:
    run = subprocess.run(
        [sys.executable, "scripts/bench.d", "--people=50", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    return run.stdout
