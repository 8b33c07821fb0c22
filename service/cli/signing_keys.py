"""`doorcode signing-key …`: the keys of access tokens."""

import typer

from service.audit.log import COMMAND_LINE
from service.cli.running import print_result, run, stderr
from service.sessions.access_tokens import rotate_signing_key

app = typer.Typer(help="The keys that sign access tokens.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Makes `rotate` a command of its own, although it is the only one."""


@app.command()
def rotate() -> None:
    """Sign with a new key from now on. The old key stays published until its tokens expire. After a leak, rotate twice."""
    kid = run(lambda instance: rotate_signing_key(instance.cipher, COMMAND_LINE))
    stderr.print("Access tokens are signed with a new key from now on:")
    print_result(kid)
