# who_is_it.py
from typing import Any

import jwt  # PyJWT, with its extra "crypto"

DOORCODE = "https://auth.example.com"
KEYS = jwt.PyJWKClient(f"{DOORCODE}/.well-known/jwks.json")


def who_is(access_token: str) -> dict[str, Any]:
    """Returns the claims of an access token. Raises jwt.PyJWTError if it is not valid."""
    return jwt.decode(
        access_token,
        KEYS.get_signing_key_from_jwt(access_token),
        algorithms=["ES256"],
        issuer=DOORCODE,
        audience="doorcode",
        options={"require": ["exp", "sub"]},
    )
