"""The recommended policy: which values follow it, and that all of them are accepted."""

import pytest

from service.external_auth.configuration import policy_of, update_policy
from service.external_auth.policy import Policy
from service.external_auth.recommended_policy import RECOMMENDATIONS
from service.instance import Instance
from tests.actions import TESTER


def met(**values: object) -> set[str]:
    policy = Policy(**values)  # type: ignore[arg-type]
    return {one.field for one in RECOMMENDATIONS if one.is_met(policy)}


@pytest.mark.parametrize(
    ("values", "field", "is_met"),
    [
        ({}, "require_expiry", False),
        ({"require_expiry": True}, "require_expiry", True),
        ({}, "max_lifetime_seconds", False),
        ({"max_lifetime_seconds": 60}, "max_lifetime_seconds", True),
        ({"max_lifetime_seconds": 301}, "max_lifetime_seconds", False),
        ({"clock_skew_seconds": 61}, "clock_skew_seconds", False),
        ({"issuer": "crm"}, "issuer", True),
        ({}, "audience", False),
        ({"trust_emails": True}, "trust_emails", False),
    ],
)
def test_policy_is_compared_with_the_recommendation(values: dict[str, object], field: str, is_met: bool) -> None:
    assert (field in met(**values)) is is_met


async def test_recommended_values_are_valid_and_then_met(instance: Instance) -> None:
    values = {one.field: one.value for one in RECOMMENDATIONS if one.value is not None}
    row = await update_policy({**values, "email_linking": Policy().email_linking}, TESTER)
    assert {one.field for one in RECOMMENDATIONS if not one.is_met(policy_of(row))} == {"issuer", "audience"}
