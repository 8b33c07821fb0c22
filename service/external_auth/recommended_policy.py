"""The policy that fits most instances, with a reason for each value. Nothing is changed by itself."""

from dataclasses import dataclass

from pydantic.alias_generators import to_camel

from service.external_auth.policy import EmailLinking, Policy


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A value that a field of the policy should have. `value` is None if only the customer knows it."""

    field: str
    value: bool | int | str | None
    reason: str

    @property
    def name(self) -> str:
        """The name of the field in the API."""
        return to_camel(self.field)

    def is_met(self, policy: Policy) -> bool:
        """Return whether the policy follows it. A stricter number of seconds does."""
        current = getattr(policy, self.field)
        if self.value is None:
            return current is not None
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return current is not None and current <= self.value
        return bool(current == self.value)


RECOMMENDATIONS = (
    Recommendation(
        "require_expiry",
        True,
        "A code without `exp` that reaches a log or a mailbox signs in until its secret is replaced (RFC 7519, 4.1.4).",
    ),
    Recommendation(
        "max_lifetime_seconds",
        300,
        "A code is used at once, so 5 minutes are enough. Refuses codes that a backend signed for a year. Requires `iat` and `exp`.",
    ),
    Recommendation(
        "clock_skew_seconds",
        60,
        "Clocks that are set by NTP differ by less. A larger tolerance lengthens the life of every code (RFC 7519, 4.1.4).",
    ),
    Recommendation(
        "trust_emails",
        False,
        "A claim is only as good as the check behind it (RFC 8725, 3.10). Keep `true` if your backend verifies every email, "
        'or let it send `"email_verified": true`.',
    ),
    Recommendation(
        "email_linking",
        EmailLinking.REFUSE.value,
        "Linking gives a new user ID the account of the user with the same email (RFC 8725, 3.10).",
    ),
    Recommendation(
        "issuer",
        None,
        "A code of another system is refused, even with the same secret (RFC 8725, 3.8). Choose the text that your backend sends in `iss`.",
    ),
    Recommendation(
        "audience",
        None,
        "A code for another product or environment is refused (RFC 8725, 3.9). Choose the text that your backend sends in `aud`.",
    ),
)
