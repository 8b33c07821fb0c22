"""The checks of a code, as an exchange runs them, for tests of what each check accepts."""

from collections.abc import Sequence

from service.external_auth.codes import SigningSecret, UnverifiedCode, VerifiedClaims, run_checks
from service.external_auth.policy import Policy


def verify(code: str, secrets: Sequence[SigningSecret], policy: Policy, now: float) -> VerifiedClaims:
    """The claims of the code at that time, in seconds since 1970."""
    return run_checks(UnverifiedCode(code, secrets, policy, now))
