"""Inspects a code: runs every check of an exchange, in order, and says what each found. Changes no data.

It runs the same checks and the same decision as the exchange (`codes.CHECKS`, `provisioning.decide`), so the two cannot
disagree.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from service.accounts.models import User
from service.accounts.provisioning import Create, Decision, decide
from service.accounts.refusals import Refuse, refusal
from service.accounts.seats import count_seats
from service.clock import now, to_the_second
from service.errors import SignInRefused
from service.external_auth.codes import CHECKS, Check, UnverifiedCode, read_jti_of
from service.external_auth.configuration import code_terms
from service.external_auth.decision_words import describe_conflict, describe_decision, describe_subject, quote_name
from service.external_auth.exchange import ExchangeDependencies
from service.external_auth.likely_causes import (
    describe_secret,
    explain_claims,
    explain_form,
    explain_signature,
    explain_times,
    find_any_signer,
)
from service.external_auth.models import JwtSecret, UsedCode
from service.external_auth.policy import Policy
from service.external_auth.secrets import list_secrets, status_of
from service.external_auth.used_codes import used_code_id
from service.refusal_texts import SignInErrorCode
from service.text import JsonObject

_NOT_REACHED = "Not checked, because an earlier check failed."


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check: what it found, and the likely cause if it failed."""

    name: str
    passed: bool
    detail: str


@dataclass(slots=True)
class Inspection:
    """What an exchange of the code would do."""

    checks: list[CheckResult] = field(default_factory=list)
    refusal: SignInRefused | None = None
    """The refusal of the first failed check, which the exchange would return. None if every check passed."""
    header: JsonObject | None = None
    claims: JsonObject | None = None
    secret: JwtSecret | None = None
    """The secret that made the signature, even a retired or revoked one. None if no secret did."""
    user: User | None = None
    creates_user: bool = False

    @property
    def accepted(self) -> bool:
        """Whether the exchange would succeed."""
        return self.refusal is None

    def add_pass(self, name: str, detail: str) -> None:
        """Add a check that passed."""
        self.checks.append(CheckResult(name, True, detail))

    def add_failure(
        self, name: str, refused: SignInRefused, hint: str | None = None, *, found: str | None = None
    ) -> None:
        """Add a check that failed. The first one becomes `refusal`.

        `found` replaces the refusal's text in the detail, for facts that only an inspection may tell.
        """
        detail = found or _sentence(refused.cause or refused.message)
        self.checks.append(CheckResult(name, False, f"{detail} {hint}" if hint else detail))
        self.refusal = self.refusal or refused

    def add_unreached(self, name: str) -> None:
        """Add a check that could not run, because an earlier one failed."""
        self.checks.append(CheckResult(name, False, _NOT_REACHED))


async def inspect(code: str, dependencies: ExchangeDependencies) -> Inspection:
    """Run every check on the code, and continue after a failure as far as the code can be read. Writes nothing."""
    configuration = await dependencies.configuration_cache.current()
    rows = {row.id: row for row in await list_secrets()}
    unverified = configuration.unverified(code)
    result = Inspection()
    _check_enabled(result, configuration.enabled)
    for check in CHECKS:
        _run(check, unverified, result, rows)
    signer = find_any_signer(unverified)
    result.secret = rows.get(signer.id) if signer else None
    result.header = getattr(unverified, "header", None)
    result.claims = getattr(unverified, "payload", None)
    if configuration.policy.single_use:
        await _check_unused(unverified, result)
    await _check_user_and_seat(unverified, result, dependencies)
    return result


def _check_enabled(result: Inspection, enabled: bool) -> None:
    if enabled:
        result.add_pass("enabled", "JWT sign-in is enabled.")
    else:
        refused = SignInRefused(SignInErrorCode.EXTERNAL_AUTH_DISABLED)
        hint = "Enable it under User Authentication, or with: doorcode jwt enable"
        result.add_failure("enabled", refused, hint, found="JWT sign-in is disabled.")


def _run(check: Check, unverified: UnverifiedCode, result: Inspection, rows: dict[str, JwtSecret]) -> None:
    if not check.can_run(unverified):
        result.add_unreached(check.name)
        return
    try:
        check.run(unverified)
    except SignInRefused as refused:
        result.add_failure(check.name, refused, _hint(check.name, unverified, rows))
    else:
        result.add_pass(check.name, _describe(check.name, unverified, rows))


def _hint(name: str, unverified: UnverifiedCode, rows: dict[str, JwtSecret]) -> str | None:
    match name:
        case "form":
            return explain_form(unverified.text)
        case "signature":
            return explain_signature(unverified, rows, now())
        case "times":
            return explain_times(unverified)
        case "claims":
            return explain_claims(unverified)
        case _:
            return None


def _describe(name: str, unverified: UnverifiedCode, rows: dict[str, JwtSecret]) -> str:
    match name:
        case "form":
            return f"A compact JWS of {len(unverified.text.encode())} bytes, alg {quote_name(str(unverified.header['alg']))}."
        case "signature":
            row = rows[unverified.signer.id]
            return f"Made with the secret {describe_secret(row)}, which is {status_of(row, now())}."
        case "payload":
            return f"A JSON object with the members: {', '.join(map(quote_name, unverified.payload)) or 'none'}."
        case "times":
            return _describe_times(unverified)
        case "claims":
            return describe_subject(unverified.subject)
        case _:
            return _describe_policy(unverified.policy)


def _describe_times(unverified: UnverifiedCode) -> str:
    parts = [
        f"{name} {_relative(value - unverified.now)}"
        for name, value in unverified.times._asdict().items()
        if value is not None
    ]
    found = f"{', '.join(parts)}." if parts else "The code has no exp, nbf or iat."
    without_end = (
        "" if unverified.times.exp is not None else " Without exp the code is valid until its secret is replaced."
    )
    hint = explain_times(unverified)
    return found + without_end + (f" {hint}" if hint else "")


def _relative(seconds: float) -> str:
    if abs(seconds) > 10**9:
        return "is decades away"
    moment = to_the_second(now() + timedelta(seconds=seconds))
    return f"in {seconds:.0f} s ({moment})" if seconds >= 0 else f"{-seconds:.0f} s ago ({moment})"


def _describe_policy(policy: Policy) -> str:
    asked = {
        "exp": policy.require_expiry,
        f"a lifetime of at most {policy.max_lifetime_seconds} s": policy.max_lifetime_seconds is not None,
        "single use": policy.single_use,
        f"the issuer {policy.issuer!r}": policy.issuer is not None,
        f"the audience {policy.audience!r}": policy.audience is not None,
    }
    required = [name for name, is_asked in asked.items() if is_asked]
    return f"Has what the policy requires: {', '.join(required)}." if required else "The policy requires nothing more."


async def _check_unused(unverified: UnverifiedCode, result: Inspection) -> None:
    jti = read_jti_of(unverified)
    if not unverified.is_genuine or jti is None:
        result.add_unreached("single use")
    elif await UsedCode.exists(id=used_code_id(unverified.signer.id, jti)):
        refused = SignInRefused(SignInErrorCode.CODE_ALREADY_USED)
        result.add_failure("single use", refused, found="A code with this jti has been used already.")
    else:
        result.add_pass("single use", "Not used yet.")


async def _check_user_and_seat(
    unverified: UnverifiedCode, result: Inspection, dependencies: ExchangeDependencies
) -> None:
    if not hasattr(unverified, "subject") or not hasattr(unverified, "times"):
        result.add_unreached("user")
        result.add_unreached("seat")
        return
    terms = code_terms(unverified.times.iat, unverified.policy, dependencies.subject_hashes)
    decision = await decide(unverified.subject, terms)
    if isinstance(decision, Refuse):
        result.add_failure("user", refusal(decision), describe_conflict(decision))
        result.add_unreached("seat")
        return
    result.add_pass("user", describe_decision(decision))
    await _check_seat(decision, result)
    if result.accepted:
        result.creates_user = isinstance(decision, Create)
        result.user = None if isinstance(decision, Create) else decision.user


async def _check_seat(decision: Decision, result: Inspection) -> None:
    if not isinstance(decision, Create):
        result.add_pass("seat", "Has a seat already.")
        return
    count = await count_seats()
    of = "(there is no limit)" if count.limit is None else f"of {count.limit}"
    if count.is_full:
        refused = SignInRefused(SignInErrorCode.SEAT_LIMIT_REACHED)
        found = f"{count.used} {of} seats are used."
        result.add_failure("seat", refused, "Free a seat, or raise the limit.", found=found)
    else:
        result.add_pass("seat", f"Takes seat {count.used + 1} {of}.")


def _sentence(text: str) -> str:
    """Return a reason as a sentence. A claim's name at its start keeps its spelling."""
    begun = text[:1].upper() + text[1:] if text.startswith(("the ", "no ", "an ")) else text
    return begun + ("" if text.endswith((".", "?", "!")) else ".")
