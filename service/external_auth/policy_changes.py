"""Changing the policy: what is left out stays, null clears what can be null."""

from dataclasses import dataclass, fields

from service.audit.actions import Action
from service.audit.log import Actor, record
from service.database import transaction
from service.errors import BadUserInput
from service.external_auth.models import ExternalAuth
from service.external_auth.policy import EmailLinking
from service.external_auth.secrets import mark_changed
from service.text import find_unsafe_characters

MAX_CLOCK_SKEW = 300  # seconds
MAX_CODE_LIFETIME = 10 * 365 * 86_400  # seconds; more is no bound
MAX_NAME_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Given:
    """A value that was given, which may be None."""

    value: object


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """New values by the policy's names; None stands for what was left out."""

    require_expiry: Given | None = None
    max_lifetime_seconds: Given | None = None
    single_use: Given | None = None
    session_ends_with_code: Given | None = None
    clock_skew_seconds: Given | None = None
    issuer: Given | None = None
    audience: Given | None = None
    email_linking: Given | None = None

    def given(self) -> dict[str, object]:
        """What was given, by name."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: given.value for name, given in values.items() if given is not None}


async def update_policy(change: PolicyChange, by: Actor) -> ExternalAuth:
    """Change the policy for the next code. Raises `BadUserInput`."""
    values = change.given()
    _check(values)
    async with transaction():
        await mark_changed()
        auth = await ExternalAuth.get(id=1)
        if values:
            await auth.update_from_dict(values).save(update_fields=list(values))
            await record(Action.JWT_POLICY_UPDATED, by, detail={_camel(name): value for name, value in values.items()})
    return auth


def _check(values: dict[str, object]) -> None:
    for name, value in values.items():
        match name, value:
            case (("require_expiry" | "single_use" | "session_ends_with_code"), bool()):
                pass
            case "email_linking", EmailLinking():
                pass
            case "clock_skew_seconds", int() if 0 <= value <= MAX_CLOCK_SKEW:
                pass
            case "max_lifetime_seconds", None:
                pass
            case "max_lifetime_seconds", int() if 1 <= value <= MAX_CODE_LIFETIME:
                pass
            case (("issuer" | "audience"), None):
                pass
            case (("issuer" | "audience"), str()) if 1 <= len(value) <= MAX_NAME_LENGTH and not find_unsafe_characters(
                value
            ):
                pass
            case _:
                raise BadUserInput(_wanted(name))


def _wanted(name: str) -> str:
    wanted = {
        "clock_skew_seconds": f"a number of seconds between 0 and {MAX_CLOCK_SKEW}",
        "max_lifetime_seconds": f"a number of seconds between 1 and {MAX_CODE_LIFETIME}, or null for no bound",
        "issuer": f"1 to {MAX_NAME_LENGTH} characters, none of them a control character, or null for any",
        "audience": f"1 to {MAX_NAME_LENGTH} characters, none of them a control character, or null for any",
    }
    return f"`{_camel(name)}` must be {wanted.get(name, 'given a value: it cannot be null')}."


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)
