"""Log lines that strangers cause: one a minute for each kind and network, and a count of the others."""

from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from service import folded_lines
from service.external_auth import secrets
from service.folded_lines import FoldedLines
from service.instance import Instance
from service.sessions.lifecycle import Client
from tests.actions import CLIENT, TESTER, code_of, enable, member, open_for, refusal_of
from tests.clients import Api
from tests.graphql.callers import admin_token


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time that the windows go by, in seconds."""
    moment = [1000.0]
    monkeypatch.setattr("service.folded_lines.time.monotonic", lambda: moment[0])

    def forward(seconds: float) -> None:
        moment[0] += seconds

    return forward


def suppressed(lines: list[Any]) -> list[tuple[str, str | None, int]]:
    return [(line["kind"], line["network"], line["count"]) for line in lines if line["event"] == "lines_suppressed"]


def test_first_line_of_a_minute_is_logged_and_the_others_are_counted_at_its_end(clock: Callable[[float], None]) -> None:
    lines = FoldedLines()
    with capture_logs() as logs:
        assert [lines.admits("a", "192.0.2.1") for _ in range(3)] == [True, False, False]
        assert [lines.admits(kind, ip) for kind, ip in (("b", "192.0.2.1"), ("a", "192.0.2.2"), ("a", None))] == [
            True
        ] * 3
        clock(59.9)
        lines.log_suppressed()
        assert suppressed(logs) == []
        clock(0.1)
        lines.log_suppressed()
        lines.log_suppressed()
    assert suppressed(logs) == [("a", "192.0.2.1", 2)]
    assert lines.admits("a", "192.0.2.1")


def test_count_is_not_lost_where_the_next_line_comes_first(clock: Callable[[float], None]) -> None:
    lines = FoldedLines()
    with capture_logs() as logs:
        for _ in range(3):
            lines.admits("a", None)
        clock(60)
        assert lines.admits("a", None)
        lines.admits("a", None)
        lines.log_suppressed(at_end=True)
    assert suppressed(logs) == [("a", "none", 2), ("a", "none", 1)]


def test_addresses_of_one_ipv6_network_share_a_line() -> None:
    lines = FoldedLines()
    assert [lines.admits("a", ip) for ip in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")] == [True, False, True]


def test_memory_and_lines_are_bounded_however_many_networks_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folded_lines, "MAX_NETWORKS", 10)
    lines = FoldedLines()
    with capture_logs() as logs:
        admitted = [lines.admits(kind, f"10.0.0.{host}") for host in range(200) for kind in ("a", "b")]
        lines.log_suppressed(at_end=True)
    assert admitted.count(True) == 12
    assert len(lines._windows) == 0
    assert suppressed(logs) == [("a", "others", 194), ("b", "others", 194)]


async def test_refused_codes_of_strangers_are_folded_and_genuine_ones_keep_their_lines(instance: Instance) -> None:
    genuine = code_of(await enable(instance), {"id": "unknown"})
    references: list[str] = []
    with capture_logs() as logs:
        for code in ("junk", "a.b.c", code_of("x" * 43, {"id": "ada"}), genuine):
            references = [(await refusal_of(instance, code)).reference for _ in range(3)]
        await refusal_of(instance, "junk", client=Client("198.51.100.7"))
    lines = [line for line in logs if line["event"] == "sign_in_refused"]
    assert [(line["code"], line["ip"]) for line in lines] == [
        ("MALFORMED_CODE", CLIENT.ip_address),
        ("INVALID_SIGNATURE", CLIENT.ip_address),
        *[("UNKNOWN_USER", CLIENT.ip_address)] * 3,
        ("MALFORMED_CODE", "198.51.100.7"),
    ]
    assert [line["reference"] for line in lines[2:5]] == references


async def test_refusal_of_a_retired_secret_s_code_is_one_of_a_stranger(instance: Instance) -> None:
    old = code_of(await enable(instance), {"id": "ada"})
    await secrets.rotate(instance.cipher, TESTER, grace_period=0)
    with capture_logs() as logs:
        for _ in range(3):
            await refusal_of(instance, old)
    assert [line["event"] for line in logs] == ["sign_in_refused"]


async def test_graphql_refusals_of_strangers_cost_at_most_one_line(api: Api) -> None:
    many = "{ " + " ".join(f"a{number}: seatUsage {{ used }}" for number in range(15)) + " }"
    deep = (
        "mutation { "
        + " ".join(f'a{number}: requestEmailCode(email: "no") {{ __typename }}' for number in range(15))
        + " }"
    )
    with capture_logs() as logs:
        assert {error["extensions"]["code"] for error in (await api.payload(many))["errors"]} == {"UNAUTHENTICATED"}
        assert logs == []
        assert {error["extensions"]["code"] for error in (await api.payload(deep))["errors"]} == {"BAD_USER_INPUT"}
    assert [(line["event"], line["code"]) for line in logs] == [("request_refused", "BAD_USER_INPUT")]


async def test_graphql_refusals_of_members_are_folded_and_those_of_admins_are_not(api: Api, instance: Instance) -> None:
    refused = "mutation { setSeatLimit(limit: -1) { used } }"
    grace = (await open_for(await member("grace@example.com"))).token
    boss = await admin_token()
    with capture_logs() as logs:
        for token in (grace, grace, boss, boss):
            await api.error_code(refused, token=token)
    assert [line["code"] for line in logs] == ["FORBIDDEN", "BAD_USER_INPUT", "BAD_USER_INPUT"]
