"""Access tokens, which are short-lived ES256 JWTs that other services verify with public keys, and their signing keys.

A key is published (`NEXT`) before it signs, so a verifier with a cached key set knows it when `rotate_signing_key`
makes it current. The previous key stays published until its last token has expired.

SQL by hand: every request (the current key) and atomic (adding a key that another process may add at the same time).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import ECAlgorithm
from tortoise.expressions import Q

from service.accounts.groups import group_names
from service.accounts.metadata import shared_members
from service.accounts.models import User, UserRole
from service.audit.actions import Action
from service.audit.log import Actor, record
from service.clock import now
from service.database import Statement, fetch_one, transaction, write
from service.encryption import Cipher
from service.ids import new_id
from service.sessions.lifecycle import LiveSession
from service.sessions.models import SigningKey, SigningKeyState
from service.settings import Settings

ALGORITHM = "ES256"  # RFC 7518, 3.4
MAX_GROUPS = 50  # in a token
MAX_METADATA_BYTES = 2_048  # in a token, as compact JSON in UTF-8
JWKS_MAX_AGE = 300  # seconds that a verifier may keep the key set
_OVERLAP = timedelta(seconds=2 * JWKS_MAX_AGE)  # for clocks that differ, beyond the lifetime of the tokens themselves

_CURRENT = Statement("SELECT kid, encrypted_private_key FROM signing_keys WHERE state = 'CURRENT'")
_ADD = Statement(
    "INSERT INTO signing_keys (kid, state, encrypted_private_key, public_jwk, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A signed JWT and its expiry time."""

    token: str
    expires_at: datetime


async def issue_access_token(
    session: LiveSession, settings: Settings, cipher: Cipher, *, shared_metadata: Sequence[str] = ()
) -> AccessToken:
    """Sign an access token for this session (contract §3; claims of RFC 7519 §4.1). One read of the database.

    It carries the user's groups and the members of the metadata that `shared_metadata` names.

    The token is valid for `access_token_lifetime` seconds, and no longer than the session and the access of the user.
    Ending a session does not
    revoke its tokens.
    """
    row = await fetch_one(_CURRENT)
    assert row is not None, "ensure_signing_keys runs at the start"
    issued_at = int(now().timestamp())
    user = session.user
    ends = [moment.timestamp() for moment in (session.expires_at, user.access_until) if moment is not None]
    expires_at = int(min(issued_at + settings.access_token_lifetime, *ends))
    claims = {
        "iss": settings.public_url,
        "aud": settings.access_token_audience,
        "sub": user.id,
        "sid": session.id,
        "iat": issued_at,
        "exp": expires_at,
        "jti": new_id(),
        "email": user.shown_email,
        "email_verified": user.email_verified,
        "origin": user.origin,
        "role": UserRole.ADMIN if session.has_admin_rights else UserRole.MEMBER,
        **_groups(user),
        **_metadata(user, shared_metadata),
    }
    key = _private_key(cipher, row["encrypted_private_key"])
    token = jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": row["kid"]})
    return AccessToken(token, datetime.fromtimestamp(expires_at, tz=UTC))


def _groups(user: User) -> dict[str, object]:
    names = group_names(user)
    if len(names) <= MAX_GROUPS:
        return {"groups": names}
    return {"groups": names[:MAX_GROUPS], "groups_truncated": True}


def _metadata(user: User, names: Sequence[str]) -> dict[str, object]:
    """The metadata that other services may see. Left out where it is too long: tokens travel in headers."""
    if not names:
        return {}
    shared = shared_members(user.metadata, names)
    if len(json.dumps(shared, ensure_ascii=False, separators=(",", ":")).encode()) > MAX_METADATA_BYTES:
        return {"metadata_truncated": True}
    return {"metadata": shared}


async def published_keys(settings: Settings) -> list[dict[str, str]]:
    """Return `keys` of the JWK Set (RFC 7517 §5): next, current, and retired ones whose tokens may still be valid."""
    published = ~Q(state=SigningKeyState.RETIRED) | Q(retired_at__gt=_forgotten_before(settings))
    keys = await SigningKey.filter(published).order_by("-created_at")
    return [json.loads(key.public_jwk) for key in keys]


async def ensure_signing_keys(cipher: Cipher) -> None:
    """Create the current and the next key if they are missing. Several processes may call this at the same time."""
    for state in (SigningKeyState.CURRENT, SigningKeyState.NEXT):
        if not await SigningKey.filter(state=state).exists():
            await _add_key(state, cipher)


async def rotate_signing_key(cipher: Cipher, by: Actor, *, leaked: bool = False) -> str:
    """Sign with the next key from now on, and publish another one to follow it. Return the `kid` that signs now.

    With `leaked`, forget every key at once, the next one too: the tokens that they signed verify no longer, as soon as
    the verifiers read the key set again.
    """
    await ensure_signing_keys(cipher)
    async with transaction():
        # Without the lock, two rotations at once would promote the same key. The order prevents a deadlock.
        await SigningKey.exclude(state=SigningKeyState.RETIRED).order_by("kid").select_for_update()
        if leaked:
            await SigningKey.all().delete()
            await _add_key(SigningKeyState.CURRENT, cipher)
        else:
            current, upcoming = (
                SigningKey.filter(state=state) for state in (SigningKeyState.CURRENT, SigningKeyState.NEXT)
            )
            await current.update(state=SigningKeyState.RETIRED, retired_at=now())
            await upcoming.update(state=SigningKeyState.CURRENT)
        await _add_key(SigningKeyState.NEXT, cipher)
        row = await fetch_one(_CURRENT)
        assert row is not None
        await record(Action.SIGNING_KEY_ROTATED, by, detail={"kid": row["kid"], "leaked": leaked})
    return str(row["kid"])


async def renew_key_encryption(cipher: Cipher) -> None:
    """Encrypt every key with the first encryption key, so that older ones can be removed.

    Raises if one cannot be read.
    """
    for key in await SigningKey.all():
        renewed = cipher.renewed(key.encrypted_private_key)
        if renewed is not None:
            async with transaction():
                await SigningKey.filter(kid=key.kid).update(encrypted_private_key=renewed)


async def purge_signing_keys(settings: Settings) -> int:
    """Delete keys whose last token has expired. Returns how many were deleted."""
    expired = SigningKey.filter(state=SigningKeyState.RETIRED, retired_at__lt=_forgotten_before(settings))
    async with transaction():
        return await expired.delete()


def _forgotten_before(settings: Settings) -> datetime:
    return now() - timedelta(seconds=settings.access_token_lifetime) - _OVERLAP


async def _add_key(state: SigningKeyState, cipher: Cipher) -> None:
    private_key = ec.generate_private_key(ec.SECP256R1())
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    kid = new_id("sk_")
    public_jwk = ECAlgorithm.to_jwk(private_key.public_key(), as_dict=True) | {
        "kid": kid,
        "use": "sig",
        "alg": ALGORITHM,
    }
    await write(_ADD, kid, state, cipher.encrypt(pem), json.dumps(public_jwk), now())


@lru_cache(maxsize=4)
def _private_key(cipher: Cipher, encrypted: str) -> ec.EllipticCurvePrivateKey:
    """Return the parsed key. Cached, because decrypting and parsing costs more than signing."""
    key = load_pem_private_key(cipher.decrypt(encrypted).encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key
