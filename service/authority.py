"""The caller of a request and what the caller may do, for GraphQL, pages and commands alike (contract §4)."""

from dataclasses import dataclass
from datetime import timedelta

from service.accounts.models import User
from service.accounts.provisioning import record_user_seen
from service.api_keys.models import ApiKey, ApiKeyScope
from service.audit.log import Actor
from service.clock import now
from service.errors import Forbidden, FreshProofNeeded, Unauthenticated
from service.sessions.lifecycle import Client, LiveSession, find_session, record_session_seen
from service.sessions.models import TokenTransport

_SIGN_IN_FIRST = (
    "Sign in first: send `Authorization: Bearer <token>` with a session token of an admin who signed in by email, "
    "or an API key."
)
_ADMIN_NEEDED = "Only an admin who signed in by email may do this, or an API key."
_SCOPE = "This API key has the scope {scope}. This needs an API key of scope {wanted}."
_MANAGING = frozenset({ApiKeyScope.USERS, ApiKeyScope.ADMIN})
PROOF_LIFETIME = timedelta(minutes=15)
"""How long a sign-in, or an email code that was given again, counts as a proof for critical changes."""

_PROVE_AGAIN = (
    "This needs a sign-in within the last 15 minutes. Sign in again with `requestEmailCode` and `exchangeEmailCode`, "
    "and repeat the request with the new session token."
)
_IN_PERSON = "Only an admin in person may do this, signed in by email: no API key can."


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a request: a signed-in user, an API key, or neither (anonymous)."""

    client: Client
    session: LiveSession | None = None
    session_token: str | None = None
    api_key: ApiKey | None = None

    @property
    def viewer(self) -> User | None:
        """The user who is signed in. None for an API key and an anonymous caller."""
        return self.session.user if self.session else None

    @property
    def actor(self) -> Actor:
        """The actor that the audit log records. It also says whether the caller may change admins (contract §4).

        Only an admin in person may change admins and how they sign in. The features check the actor while they hold
        their locks, because a user may become an admin after the request has arrived.
        """
        if self.api_key:
            return Actor.of_api_key(self.api_key.id, self.client.ip_address)
        if self.session:
            return Actor.of_user(
                self.session.user.id, self.client.ip_address, may_change_admins=self.session.has_admin_rights
            )
        return Actor.anonymous(self.client.ip_address)

    @property
    def may_read_everything(self) -> bool:
        """Whether the caller may run admin queries."""
        return self.api_key is not None or (self.session is not None and self.session.has_admin_rights)

    def require_reader(self) -> None:
        """Raise `Unauthenticated` or `Forbidden` unless the caller is an admin or an API key."""
        if not self.may_read_everything:
            raise self._refusal(_ADMIN_NEEDED)

    def require_manager(self) -> Actor:
        """Return the actor, if the caller may manage members: an admin, or an API key of scope USERS or ADMIN.

        Raises `Unauthenticated` or `Forbidden`.
        """
        self.require_reader()
        if self.api_key is not None and self.api_key.scope not in _MANAGING:
            raise Forbidden(_SCOPE.format(scope=self.api_key.scope, wanted="USERS or ADMIN"))
        return self.actor

    def require_admin(self) -> Actor:
        """Return the actor, if the caller is an admin or an API key of scope ADMIN.

        Raises `Unauthenticated` or `Forbidden`.
        """
        self.require_reader()
        if self.api_key is not None and self.api_key.scope is not ApiKeyScope.ADMIN:
            raise Forbidden(_SCOPE.format(scope=self.api_key.scope, wanted=ApiKeyScope.ADMIN))
        return self.actor

    def require_admin_in_person(self) -> Actor:
        """Return the actor, if the caller is an admin who signed in by email.

        Raises `Unauthenticated` or `Forbidden`, also for every API key.
        """
        if self.session is None or not self.session.has_admin_rights:
            raise self._refusal(_IN_PERSON)
        return self.actor

    def require_fresh_proof(self) -> Actor:
        """Return the actor, if a person who sends the request proved who they are within `PROOF_LIFETIME`.

        Raises `FreshProofNeeded` for an older session. It is asked before signing secrets are made or revoked, API keys
        are made, roles are given, and all users are exported: so a session that is left open or was stolen cannot do any
        of these (contract §3). An API key is no person and proves nothing, so it passes. Call it after `require_admin` or
        `require_admin_in_person`.
        """
        if self.session is not None and now() - self.session.last_proof_at > PROOF_LIFETIME:
            raise FreshProofNeeded(_PROVE_AGAIN)
        return self.actor

    def require_session(self) -> LiveSession:
        """Return the session of the caller. Raises `Unauthenticated` if there is none."""
        if self.session is None:
            raise Unauthenticated("Sign in first: send `Authorization: Bearer <session token>`.")
        return self.session

    def _refusal(self, why: str) -> Unauthenticated | Forbidden:
        return Unauthenticated(_SIGN_IN_FIRST) if self.session is None and self.api_key is None else Forbidden(why)


async def by_session_token(token: str | None, client: Client, token_transports: frozenset[TokenTransport]) -> Caller:
    """Return the caller whose live session this token belongs to, and mark that session and user were seen.

    The caller is anonymous if the token is unknown or its session has another token transport.
    """
    session = await find_session(token) if token else None
    if session is None or session.token_transport not in token_transports:
        return Caller(client)
    await record_session_seen(session)
    await record_user_seen(session.user)
    return Caller(client, session, token)
