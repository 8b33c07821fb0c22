# sign.py: pip install pyjwt && python sign.py
import os
import time
import uuid

import jwt


def sign_code(user: dict) -> str:
    now = int(time.time())
    claims = {"user": user, "iat": now, "exp": now + 300, "jti": str(uuid.uuid4())}
    return jwt.encode(claims, os.environ["DOORCODE_JWT_SECRET"], algorithm="HS256")


print(sign_code({"id": "crm-42", "email": "ada@example.com", "name": "Ada"}))
