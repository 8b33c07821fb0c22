"""Bearer tokens: a prefix that names the kind, and 256 random bits. Only their SHA-256 hash is stored."""

import hashlib
import secrets

SESSION_PREFIX = "dcs_"
API_KEY_PREFIX = "dck_"
TOKEN_BYTES = 32


def new_token(prefix: str) -> str:
    """Return `prefix` followed by 43 base64url characters (contract §3)."""
    return prefix + secrets.token_urlsafe(TOKEN_BYTES)


def hash_token(token: str) -> str:
    """Return the hex SHA-256. 256 random bits cannot be guessed from their hash, so no salt or stretching is needed."""
    return hashlib.sha256(token.encode()).hexdigest()
