"""The configuration of JWT sign-in: whether it is enabled, the policy and the secrets.

Each exchange reads only the configuration version. The rest is cached, decrypted, until the version changes. So a
change in one process applies to the next request of every process (contract §2).

SQL by hand: every request. An exchange reads the version.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

from service.accounts.code_cutoffs import SubjectHashes
from service.accounts.provisioning import CodeTerms
from service.audit.actions import Action
from service.audit.log import Actor, changes_of, record
from service.clock import MINUTE, floor, now
from service.database import Statement, fetch_one, transaction
from service.encryption import Cipher
from service.errors import BadUserInput
from service.external_auth.codes import SigningSecret, UnverifiedCode
from service.external_auth.customer_sign_in import JwtSignIn
from service.external_auth.models import ExternalAuth, JwtSecret
from service.external_auth.policy import EmailLinking, Policy, Provisioning
from service.external_auth.secrets import (
    LIVE,
    is_destroyed,
    list_secrets,
    mark_changed,
    record_secret_used,
    status_of,
)

_VERSION = Statement("SELECT version FROM external_auth WHERE id = 1")

_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class JwtConfiguration:
    """The configuration at one version."""

    version: int
    enabled: bool
    session_epoch: int
    policy: Policy
    sign_in: JwtSignIn
    secrets: tuple[SigningSecret, ...]
    """Every secret, newest first. Retired and revoked ones too, so that a refusal can say that `kid` names one."""
    holds_until: datetime
    """When the next secret retires."""
    codes_valid_from: datetime | None = None
    """A code that was issued before is refused. None: a code may have been issued at any time."""
    _uses_recorded: dict[str, datetime] = field(default_factory=dict)

    def unverified(self, code: str) -> UnverifiedCode:
        """Return the code, to be checked now under this configuration."""
        return UnverifiedCode(code, self.secrets, self.policy, now().timestamp(), self.codes_valid_from)

    async def record_secret_used(self, secret_id: str) -> None:
        """Record that the secret was used, to the minute, so that a process writes at most once a minute."""
        minute = floor(now(), MINUTE)
        if (last := self._uses_recorded.get(secret_id)) != minute:
            self._uses_recorded[secret_id] = minute
            await record_secret_used(secret_id, minute, is_first=last is None)


class JwtConfigurationCache:
    """Caches the configuration in this process until its version in the database changes."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher
        self._known: JwtConfiguration | None = None

    async def current(self) -> JwtConfiguration:
        """Return the current configuration. One read if it has not changed."""
        row = await fetch_one(_VERSION)
        assert row is not None, "the first migration makes this row"
        known, moment = self._known, now()
        if known is None or known.version != row["version"] or moment >= known.holds_until:
            known = self._known = await self._read(moment)
        return known

    def known(self) -> JwtConfiguration | None:
        """Return the configuration that this process knows, without a read. Its version may be outdated."""
        return self._known if self._known is not None and now() < self._known.holds_until else None

    async def _read(self, moment: datetime) -> JwtConfiguration:
        # The version is read before the secrets, so that a change in between is read at the next request.
        auth = await ExternalAuth.get(id=1)
        secrets = await list_secrets()
        return JwtConfiguration(
            version=auth.version,
            enabled=auth.enabled,
            session_epoch=auth.session_epoch,
            policy=policy_of(auth),
            sign_in=sign_in_of(auth),
            secrets=tuple(self._signing_secret(secret, moment) for secret in secrets),
            holds_until=min(
                (s.retires_at for s in secrets if s.retires_at and s.retires_at > moment), default=_END_OF_TIME
            ),
            codes_valid_from=auth.codes_valid_from,
        )

    def _signing_secret(self, secret: JwtSecret, moment: datetime) -> SigningSecret:
        if is_destroyed(secret):
            return SigningSecret(secret.id, None, live=False)
        text = self._cipher.decrypt(secret.encrypted_secret)
        return SigningSecret(secret.id, text.encode(), status_of(secret, moment) in LIVE)


def code_terms(issued_at: float | None, policy: Policy, hashes: SubjectHashes) -> CodeTerms:
    """Return what a decision about a code depends on beside its subject, for exchanges and inspections alike."""
    return CodeTerms(
        issued_at, policy.email_linking is EmailLinking.LINK, policy.provisioning is Provisioning.CREATE, hashes
    )


def policy_of(auth: ExternalAuth) -> Policy:
    """Return the policy of a configuration row."""
    return Policy.model_validate(auth)


def sign_in_of(auth: ExternalAuth) -> JwtSignIn:
    """Return how sign-in starts at the customer's, from a configuration row."""
    return JwtSignIn.model_validate(auth)


async def update_policy(changes: Mapping[str, object], by: Actor) -> ExternalAuth:
    """Change the policy from the next code on. A field that is not in `changes` stays. Raises `BadUserInput`."""
    return await _update(Policy, changes, Action.JWT_POLICY_UPDATED, by)


async def update_sign_in(changes: Mapping[str, object], by: Actor) -> ExternalAuth:
    """Change how sign-in starts at the customer's. A field that is not in `changes` stays. Raises `BadUserInput`."""
    return await _update(JwtSignIn, changes, Action.JWT_SIGN_IN_UPDATED, by)


async def _update(part: type[BaseModel], changes: Mapping[str, object], action: Action, by: Actor) -> ExternalAuth:
    try:
        values = part.model_validate(dict(changes)).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise BadUserInput(_explain(part, error)) from None
    async with transaction():
        await mark_changed()
        auth = await ExternalAuth.get(id=1)
        if values:
            columns = values | _shared_metadata_column(values)
            before = {to_camel(name): getattr(auth, name) for name in columns}
            after = {to_camel(name): value for name, value in columns.items()}
            await auth.update_from_dict(columns).save(update_fields=list(columns))
            await record(action, by, detail={**after, "changes": changes_of(before, after)})
    return auth


def _shared_metadata_column(values: Mapping[str, object]) -> dict[str, object]:
    """The names as the column holds them: separated by commas, which no name has. Empty if they do not change."""
    names = values.get("shared_metadata")
    return {"shared_metadata": ",".join(names)} if isinstance(names, tuple) else {}


def _explain(part: type[BaseModel], error: ValidationError) -> str:
    """Say what the first wrong field must be. Never its value, because the reader may not be allowed to see it."""
    name = str(error.errors(include_url=False, include_input=False)[0]["loc"][0])
    wanted = part.model_fields[name].description or "given a value: it cannot be null"
    return f"`{to_camel(name)}` must be {wanted}."
