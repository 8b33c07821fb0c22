"""The GraphQL operations of the panel, one file each, as any other client could send them.

It may import `service.graphql.in_process`, which no other module of `service.web` may. A test validates the operations
against the schema.
"""

from pathlib import Path
from typing import Any

from starlette.requests import Request

from service.authority import Caller
from service.graphql.in_process import OperationRefused, run_operation
from service.web.requests import instance_of

__all__ = ["DOCUMENTS", "OperationRefused", "run"]

DOCUMENTS = {path.stem: path.read_text() for path in Path(__file__).parent.glob("*.graphql")}


async def run(operation: str, request: Request, caller: Caller, /, **variables: object) -> dict[str, Any]:
    """Run the operation in the file `NAME.graphql`. Raises `OperationRefused` with a message that may be shown."""
    return await run_operation(
        DOCUMENTS[operation], variables, request.app.state.operations, instance_of(request), caller
    )
