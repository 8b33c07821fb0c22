# sign_in.py
from pathlib import Path
from typing import Any

from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport

DOORCODE = "https://auth.example.com"
SCHEMA = Path("schema.graphql").read_text()
OPERATIONS = Path("operations.graphql").read_text()


async def run(name: str, token: str | None = None, **variables: object) -> Any:
    """The data of an operation; with a session's token, on behalf of whoever it belongs to."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = AIOHTTPTransport(f"{DOORCODE}/graphql", headers=headers)
    request = GraphQLRequest(OPERATIONS, operation_name=name, variable_values=variables)
    async with Client(transport=transport, schema=SCHEMA) as session:
        return await session.execute(request)


async def sign_in(code: str) -> Any:
    """The grant: token, session, user."""
    answer = (await run("SignIn", code=code))["exchangeExternalAuthCode"]
    if answer["__typename"] == "SignInError":
        raise PermissionError(f"{answer['message']} ({answer['reference']})")
    return answer
