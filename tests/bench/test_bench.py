"""The benchmark finds that both services do the work they are timed for. How fast they are depends on the machine."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts" / "bench.d"))
plot = importlib.import_module("plot")  # a module of the program, not of a package

pytestmark = pytest.mark.usefixtures("programs")


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_both_services_do_the_work(database: str) -> None:
    assert bench(f"--db={database}", "--rounds=0").strip() == "Both services refuse bad codes and store only hashes."


OPERATIONS = ["exchange", "first", "mixed", "viewer", "page", "seats", "search"]


def test_neither_service_makes_an_error() -> None:
    table, _, processes = bench("--db=sqlite", "--rounds=1", "--seconds=0.2", "--many=0").partition("\n\n")
    assert cells(table) == [["sqlite", operation] for operation in OPERATIONS]
    assert cells(processes.partition("\n\n")[0]) == [["sqlite", "Starlette"], ["sqlite", "Doorcode"]]


def test_plot_has_a_line_for_each_service_in_each_panel() -> None:
    points = [(10, 50.0), (1_000, 75.0)]
    series = [plot.Series(axis, name, points) for axis in ("users", "connections") for name in ("A & B", "C")]
    drawn = ET.fromstring(plot.draw(series))
    lines = [line.attrib["points"] for line in drawn.iter("{http://www.w3.org/2000/svg}polyline")]
    assert len(lines) == 4
    for line in lines:
        (left, low), (right, high) = (map(float, place.split(",")) for place in line.split(" "))
        assert left < right
        assert low > high  # a higher cost is nearer to the top
    names = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"A & B", "C", "10", "1,000"} <= set(names)


def cells(table: str) -> list[list[str]]:
    """Return the first two cells of each row of a table, without its head."""
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def bench(*options: str) -> str:
    run = subprocess.run(
        [sys.executable, "scripts/bench.d", "--people=50", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout
