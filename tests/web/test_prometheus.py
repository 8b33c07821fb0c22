"""The alert rules and the dashboard: valid, and about metrics that a served instance has."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.accounts.seats import set_seat_limit
from tests.actions import TESTER
from tests.processes import ROOT, free_port
from tests.programs import Programs
from tests.site import Site, new_user_id

RULES = ROOT / "service" / "guide" / "samples" / "prometheus-rules.yml"
DASHBOARD = json.loads((ROOT / "service" / "guide" / "grafana-dashboard.json").read_text())
QUERIES = [
    target["expr"].replace("$instance", ".*").replace("$__rate_interval", "1m")
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
]


def test_rules_are_valid(programs: Programs) -> None:
    checked = subprocess.run(
        [programs.path("promtool"), "check", "rules", RULES], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "SUCCESS: 11 rules found" in checked.stdout


def test_metrics_of_a_served_instance_are_valid_and_have_no_series_of_creation(site: Site, programs: Programs) -> None:
    text = httpx2.get(f"{site.server.url}/metrics").text
    checked = subprocess.run(
        [programs.path("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    ours = [line for line in checked.stdout.splitlines() + checked.stderr.splitlines() if line.startswith("doorcode_")]
    assert ours == []
    assert "_created" not in text


@pytest.fixture
def prometheus(site: Site, programs: Programs, tmp_path: Path) -> Iterator[str]:
    """A Prometheus with the rules, which scrapes the site each second; its address."""
    target = site.server.url.removeprefix("http://")
    configuration = tmp_path / "prometheus.yml"
    configuration.write_text(
        f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{RULES}']\n"
        f"scrape_configs: [{{job_name: doorcode, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    address = f"127.0.0.1:{free_port()}"
    command = [
        programs.path("prometheus"),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stderr=log, stdout=log) as running:
        try:
            yield f"http://{address}"
        finally:
            running.terminate()


def until_data(client: httpx2.Client, path: str, **query: str) -> Any:
    """The answer, once it has data."""
    for _ in range(300):
        try:
            data = client.get(path, params=query).json().get("data", {})
        except (httpx2.TransportError, ValueError):  # it is starting
            data = {}
        if data.get("result") or data.get("groups"):
            return data
        time.sleep(0.2)  # until the next scrape
    raise AssertionError(f"no data: {query or path}")


def test_every_rule_is_loaded_and_every_query_of_the_dashboard_has_data(site: Site, prometheus: str) -> None:
    site.call(lambda _: set_seat_limit(1_000, TESTER))
    with httpx2.Client(base_url=prometheus) as client, site.client() as visitor:
        until_data(client, "/api/v1/query", query='up{job="doorcode"} == 1')
        for _ in range(5):
            visitor.get("/", params={"externalAuthCode": site.code_for(new_user_id())})
            visitor.get("/", params={"externalAuthCode": "x"})
        for query in QUERIES:
            until_data(client, "/api/v1/query", query=query)
        groups = until_data(client, "/api/v1/rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert len(rules) == 11
        assert {rule.get("lastError", "") for rule in rules} == {""}
        known = set(client.get("/api/v1/label/__name__/values").json()["data"])
        named = {name for query in QUERIES for name in re.findall(r"doorcode_\w+", query)}
        assert {name for name in named if name not in known} <= {
            "doorcode_mails_total",
            "doorcode_database_connections",
        }
    site.call(lambda _: set_seat_limit(None, TESTER))
