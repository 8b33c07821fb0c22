"""The configuration of email login: on or off, and who may sign up.

Read at every use, so that a change applies at once in every process.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.audit.actions import Action
from service.audit.log import Actor, changes_of, record
from service.database import transaction
from service.email_login.domains import is_in_domains, parse_domains
from service.email_login.models import EmailLogin, SignUpMode
from service.sessions.lifecycle import end_sessions_of_method
from service.sessions.models import SignInMethod

_ROW = 1  # the only row, which a migration inserts


@dataclass(frozen=True, slots=True)
class EmailLoginConfiguration:
    """Whether email login is on, and who may sign up by it."""

    enabled: bool
    sign_up: SignUpMode
    allowed_domains: tuple[str, ...]
    """Domains in IDNA A-form; `*.example.com` means its subdomains. Empty: any domain."""
    session_epoch: int

    def admits(self, email: str) -> bool:
        """Whether an address without a user, in normal form, may sign up."""
        return self.sign_up is SignUpMode.OPEN and is_in_domains(email, self.allowed_domains)


async def read_configuration() -> EmailLoginConfiguration:
    """Return the current configuration."""
    return _configuration_of(await EmailLogin.get(id=_ROW))


async def update_configuration(
    by: Actor,
    *,
    enabled: bool | None = None,
    sign_up: SignUpMode | None = None,
    allowed_domains: Sequence[str] | None = None,
) -> EmailLoginConfiguration:
    """Change the fields that are not None, and return the configuration. Ends no session.

    Raises `Forbidden` for switching it off, if the actor may not change admins: it is how admins sign in; and
    `BadUserInput` for what is no domain.
    """
    domains = None if allowed_domains is None else parse_domains(allowed_domains)
    if enabled is False:
        by.require_may_change_admins()
    async with transaction():
        before = _configuration_of(await EmailLogin.filter(id=_ROW).select_for_update().get())
        after = replace(
            before,
            enabled=before.enabled if enabled is None else enabled,
            sign_up=sign_up or before.sign_up,
            allowed_domains=before.allowed_domains if domains is None else domains,
        )
        if after != before:
            await EmailLogin.filter(id=_ROW).update(
                enabled=after.enabled, sign_up=after.sign_up, allowed_domains=json.dumps(after.allowed_domains)
            )
            changes = changes_of(_as_detail(before), _as_detail(after))
            await record(Action.EMAIL_LOGIN_UPDATED, by, detail={**_as_detail(after), "changes": changes})
    return after


async def end_email_sessions(by: Actor) -> None:
    """End every session that was opened by email, or is just opening."""
    async with transaction():
        await end_sessions_opened_by_email()
        await record(Action.SESSIONS_ENDED, by, detail={"method": SignInMethod.EMAIL})


async def end_sessions_opened_by_email() -> None:
    """End every session that was opened by email, or is just opening. Call it in a transaction."""
    row = await EmailLogin.filter(id=_ROW).select_for_update().get()
    row.session_epoch += 1
    await row.save(update_fields=["session_epoch"])
    await end_sessions_of_method(SignInMethod.EMAIL, row.session_epoch)


def _as_detail(configuration: EmailLoginConfiguration) -> dict[str, object]:
    """Return the configuration as events tell it."""
    return {
        "enabled": configuration.enabled,
        "signUp": configuration.sign_up,
        "allowedDomains": configuration.allowed_domains,
    }


def _configuration_of(row: EmailLogin) -> EmailLoginConfiguration:
    return EmailLoginConfiguration(row.enabled, row.sign_up, tuple(json.loads(row.allowed_domains)), row.session_epoch)
