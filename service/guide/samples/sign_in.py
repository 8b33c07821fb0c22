# sign_in.py
from pathlib import Path
from typing import Any

from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport

DOORCODE = "https://auth.example.com"
SCHEMA = Path("schema.graphql").read_text()
OPERATIONS = Path("operations.graphql").read_text()


async def run(name: str, token: str | None = None, **variables: object) -> Any:
    """Returns the data of an operation. With a session token, the caller is the user of that session."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = AIOHTTPTransport(f"{DOORCODE}/graphql", headers=headers)
    request = GraphQLRequest(OPERATIONS, operation_name=name, variable_values=variables)
    async with Client(transport=transport, schema=SCHEMA) as session:
        return await session.execute(request)


async def sign_in(code: str) -> Any:
    """Returns the grant: token, session, user. Raises PermissionError if the sign-in is refused."""
    answer = (await run("SignIn", code=code))["exchangeExternalAuthCode"]
    if answer["__typename"] == "SignInError":
        raise PermissionError(f"{answer['message']} ({answer['reference']})")
    return answer
