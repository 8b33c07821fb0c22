"""A GraphQL client as a frontend has one, for the application in this process or for a server."""

from collections.abc import Mapping
from typing import Any

import httpx2

Json = Any


class Api:
    """Sends operations, and checks the answers."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    async def send(
        self,
        document: str,
        variables: Mapping[str, object] | None = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """The response as it is; `token` goes behind `Bearer`."""
        bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
        body = {"query": document, "variables": dict(variables or {})}
        return await self.http.post("/graphql", json=body, headers={**bearer, **(headers or {})})

    async def ask(self, document: str, variables: Mapping[str, object] | None = None, **how: Any) -> Json:
        """The data of an answer that has no errors."""
        payload = await self.payload(document, variables, **how)
        assert "errors" not in payload, payload["errors"]
        return payload["data"]

    async def error_code(self, document: str, variables: Mapping[str, object] | None = None, **how: Any) -> str:
        """The code of the only error of an answer."""
        payload = await self.payload(document, variables, **how)
        codes = [error["extensions"]["code"] for error in payload.get("errors", [])]
        assert len(codes) == 1, payload
        return str(codes[0])

    async def payload(self, document: str, variables: Mapping[str, object] | None = None, **how: Any) -> Json:
        """The whole answer, which always has status 200 and is JSON."""
        response = await self.send(document, variables, **how)
        assert response.status_code == 200, response.text
        return response.json()
