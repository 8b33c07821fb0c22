"""Signs codes as a backend does. The page of the shop shows these functions as they are."""

import base64
import hmac
import json
import time
from collections.abc import Mapping


def sign_code(user: Mapping[str, object], secret: str, lifetime: int = 300) -> str:
    now = int(time.time())
    header = {"alg": "HS256", "typ": "JWT"}
    claims = {"user": user, "iat": now, "exp": now + lifetime}
    text = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    return f"{text}.{base64url(hmac.digest(secret.encode(), text.encode(), 'sha256'))}"


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
