"""The GraphQL operations of the panel, one file each, as any other client could send them.

It may import `service.graphql.in_process`, which no other module of `service.web` may. A test validates the operations
against the schema.
"""

from pathlib import Path
from typing import Any

from service.authority import Caller
from service.graphql.in_process import OperationRefused, run_operation
from service.instance import Instance

__all__ = ["DOCUMENTS", "OperationRefused", "run"]

DOCUMENTS = {path.stem: path.read_text() for path in Path(__file__).parent.glob("*.graphql")}


async def run(operation: str, instance: Instance, caller: Caller, /, **variables: object) -> dict[str, Any]:
    """Run the operation in the file `NAME.graphql`. Raises `OperationRefused` with a message that may be shown."""
    return await run_operation(DOCUMENTS[operation], variables, instance, caller)
