"""Runs GraphQL operations without HTTP, for the pages of the admin panel.

The operations and their authority are those of the API: the panel can do nothing that a client of the API cannot do.
"""

from typing import Any

from service.authority import Caller
from service.errors import ErrorCode
from service.graphql.context import Context
from service.graphql.server.operations import Operations
from service.graphql.server.requests import GraphQLRequest
from service.instance import Instance


class OperationRefused(Exception):
    """The operation answered an error; the first one, in its public words."""

    def __init__(self, code: ErrorCode, message: str, *, needs_proof: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.needs_proof = needs_proof
        """Whether the admin may do this after giving an email code again."""


async def run_operation(
    document: str, variables: dict[str, object], operations: Operations, instance: Instance, caller: Caller
) -> dict[str, Any]:
    """Return the data of the operation. Raises `OperationRefused` if any part of it was refused.

    `operations` are those of the application's endpoint, so that one cache holds the documents of both.
    """
    payload = await operations.answer(GraphQLRequest(document, variables), Context(instance, caller))
    for error in payload.get("errors", ()):
        extensions = error["extensions"]
        raise OperationRefused(
            ErrorCode(extensions["code"]), error["message"], needs_proof=extensions.get("freshProofNeeded", False)
        )
    return payload.get("data") or {}
