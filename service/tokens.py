"""Bearer secrets: 256 random bits behind a prefix that names their kind; only their SHA-256 is ever stored."""

import hashlib
import secrets

SESSION_PREFIX = "dcs_"
API_KEY_PREFIX = "dck_"
TOKEN_BYTES = 32


def new_token(prefix: str) -> str:
    """`prefix` and 43 base64url characters (contract §3)."""
    return prefix + secrets.token_urlsafe(TOKEN_BYTES)


def hash_token(token: str) -> str:
    """Hex SHA-256. No salt or stretching is needed: 256 random bits cannot be guessed from their hash."""
    return hashlib.sha256(token.encode()).hexdigest()
