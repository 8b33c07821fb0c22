"""The charts: scales that fit, limits as steps, and a tooltip for each day."""

import pytest

from service.web.admin.chart import HEIGHT, WIDTH, Sample, Scale, seat_chart, sign_in_chart


@pytest.mark.parametrize(
    ("highest", "labels"),
    [
        (0, ["2", "1", "0"]),
        (1, ["2", "1", "0"]),
        (3, ["3", "2", "1", "0"]),
        (7, ["8", "6", "4", "2", "0"]),
        (100, ["100", "75", "50", "25", "0"]),
        (5010, ["6,000", "4,000", "2,000", "0"]),
        (10_001, ["12,000", "10,000", "8,000", "6,000", "4,000", "2,000", "0"]),
        (2_147_483_647, ["2,500,000,000", "2,000,000,000", "1,500,000,000", "1,000,000,000", "500,000,000", "0"]),
    ],
)
def test_scale_is_round_and_not_half_empty(highest: int, labels: list[str]) -> None:
    assert Scale.up_to(highest).labels == labels


def test_every_scale_reaches_its_value_in_few_steps() -> None:
    for highest in [*range(2, 3000), *range(3000, 200_000, 977)]:
        scale = Scale.up_to(highest)
        assert highest <= scale.top < 2 * highest
        assert 3 <= len(scale.labels) <= 7
        assert (scale.lines[0], scale.lines[-1]) == (HEIGHT, 0)


def history(*limits: int | None) -> list[Sample]:
    return [{"date": f"2030-01-{n + 1:02}T00:00:00Z", "used": n, "limit": limit} for n, limit in enumerate(limits)]


def test_limit_is_a_line_of_steps_that_is_interrupted_where_there_was_none() -> None:
    chart = seat_chart(history(10, 5, None, 10))
    assert chart.limits == ["0.0,0.0 250.0,0.0 250.0,100.0 500.0,100.0", "750.0,0.0 1000.0,0.0"]


def test_each_day_has_a_tooltip_with_its_numbers() -> None:
    chart = seat_chart(history(1000, None))
    assert [area.title for area in chart.areas] == [
        "2030-01-01: 0 in use, limit 1,000",
        "2030-01-02: 1 in use, no limit",
    ]
    days = sign_in_chart([("2030-01-01T00:00:00Z", 1200, 3)])
    assert [area.title for area in days.areas] == ["2030-01-01: 1,200 sign-ins, 3 refused"]


def test_refusals_are_drawn_on_top_of_the_sign_ins() -> None:
    chart = sign_in_chart([("2030-01-01", 6, 4), ("2030-01-02", 0, 5), ("2030-01-03", 0, 0)])
    assert [(bar.y, bar.height) for bar in chart.sign_ins] == [(80, 120)]
    assert [(bar.y, bar.height) for bar in chart.refusals] == [(0, 80), (100, 100)]
    assert chart.refusals[1].x + chart.refusals[1].width < WIDTH * 2 / 3


def test_labels_are_the_first_the_middle_and_the_last_day() -> None:
    assert seat_chart(history(1, 1, 1, 1, 1)).day_labels == ["2030-01-01", "2030-01-03", "2030-01-05"]
    assert seat_chart(history(1)).day_labels == ["2030-01-01"]
