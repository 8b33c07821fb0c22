"""`doorcode signing-key …`: the keys of access tokens."""

from typing import Annotated

import typer

from service.audit.log import COMMAND_LINE
from service.cli.groups import command_group
from service.cli.running import print_result, run, stderr
from service.sessions.access_tokens import rotate_signing_key

app = command_group("The keys that sign access tokens.")


@app.command()
def rotate(
    leaked: Annotated[
        bool, typer.Option("--leaked", help="Forget all keys at once. Access tokens that they signed are refused.")
    ] = False,
) -> None:
    """Sign with a new key from now on. The old one stays published as long as its tokens live, unless it has leaked."""
    kid = run(lambda instance: rotate_signing_key(instance.cipher, COMMAND_LINE, leaked=leaked))
    stderr.print("Access tokens are signed with a new key from now on:")
    print_result(kid)
