"""The scalar `DateTime`: which texts it accepts, and how it is written."""

import json
from datetime import datetime

import pytest

from tests.graphql.sample_schema import SampleEndpoint, codes, messages


@pytest.mark.parametrize(
    ("written", "answered"),
    [
        ("2030-01-31T12:00:00Z", "2030-01-31T12:00:00Z"),
        ("2030-01-31T12:00:00z", "2030-01-31T12:00:00Z"),
        ("2030-01-31t12:00:00.5+01:30", "2030-01-31T10:30:00.500000Z"),
        ("2030-01-31T12:00:00.123456789Z", "2030-01-31T12:00:00.123456Z"),
        ("2030-01-31T00:00:00-23:59", "2030-01-31T23:59:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
async def test_a_time_is_taken_with_any_offset_and_answered_in_utc(written: str, answered: str) -> None:
    query = "query($at:DateTime){moment(at:$at)}"
    assert await SampleEndpoint().ask(query, {"at": written}) == {"data": {"moment": answered}}
    assert await SampleEndpoint().ask(f'{{moment(at:"{written}")}}') == {"data": {"moment": answered}}
    assert datetime.fromisoformat(answered).tzinfo is not None


async def test_a_time_of_another_zone_is_answered_in_utc() -> None:
    assert await SampleEndpoint().ask("{elsewhere}") == {"data": {"elsewhere": "2029-12-31T22:00:00Z"}}


@pytest.mark.parametrize(
    "written",
    [
        "2030-01-31T12:00:00",
        "2030-01-31",
        "2030-01-31 12:00:00Z",
        "20300131T120000Z",
        "2030-W05-4T12:00:00Z",
        "2030-02-30T12:00:00Z",
        "2030-01-31T24:00:00Z",
        "2030-01-31T12:00:60Z",
        "2030-01-31T12:00Z",
        "2030-01-31T12:00:00+24:00",
        "2030-01-31T12:00:00+01",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "10000-01-01T00:00:00Z",
        "２０３０-01-31T12:00:00Z",
        "2030-01-31T12:00:00Z\n",
        "2030-01-31T12:00:00." + "1" * 1_000 + "Z",
        "",
        "now",
        0,
        1.5,
        True,
        ["2030-01-31T12:00:00Z"],
        {"at": 1},
    ],
)
async def test_anything_else_is_no_time(written: object) -> None:
    endpoint = SampleEndpoint()
    answer = await endpoint.ask("query($at:DateTime){moment(at:$at)}", {"at": written})
    assert codes(answer) == ["BAD_USER_INPUT"]
    assert "2030-01-31T12:00:00Z or 2030-01-31T13:00:00+01:00" in messages(answer)[0]
    literal = await endpoint.ask(f"{{moment(at:{json.dumps(written)})}}") if not isinstance(written, dict) else answer
    assert codes(literal) == ["BAD_USER_INPUT"]
    assert literal["errors"][0]["locations"]
    assert endpoint.internal_errors == []
