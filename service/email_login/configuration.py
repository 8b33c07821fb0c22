"""The configuration of email login: on or off, and who may sign up.

Read at every use, so that a change applies at once in every process. The statements are written by hand for that
reason.
"""

from dataclasses import dataclass, replace

from service.audit.actions import Action
from service.audit.log import Actor, record
from service.database import Row, Statement, fetch_one, transaction, write
from service.email_login.models import SignUpMode

_READ = "SELECT enabled, sign_up FROM email_login WHERE id = 1"
_CURRENT = Statement(_READ)
_LOCK = Statement(_READ + " FOR UPDATE")
_SET = Statement("UPDATE email_login SET enabled = $1, sign_up = $2 WHERE id = 1")


@dataclass(frozen=True, slots=True)
class EmailLoginConfiguration:
    """Whether email login is on, and who may sign up by it."""

    enabled: bool
    sign_up: SignUpMode

    @property
    def is_open(self) -> bool:
        """Whether an address without a user may sign up."""
        return self.sign_up is SignUpMode.OPEN


async def read_configuration() -> EmailLoginConfiguration:
    """Return the current configuration."""
    return _configuration_of(await fetch_one(_CURRENT))


async def update_configuration(
    by: Actor, *, enabled: bool | None = None, sign_up: SignUpMode | None = None
) -> EmailLoginConfiguration:
    """Change the fields that are not None, and return the configuration. Ends no session."""
    async with transaction():
        before = _configuration_of(await fetch_one(_LOCK))
        after = replace(
            before, enabled=before.enabled if enabled is None else enabled, sign_up=sign_up or before.sign_up
        )
        if after != before:
            await write(_SET, after.enabled, after.sign_up)
            await record(Action.EMAIL_LOGIN_UPDATED, by, detail={"enabled": after.enabled, "signUp": after.sign_up})
    return after


def _configuration_of(row: Row | None) -> EmailLoginConfiguration:
    assert row is not None, "the migration makes this row"
    return EmailLoginConfiguration(bool(row["enabled"]), SignUpMode(row["sign_up"]))
