"""`doorcode health`: asks a server on this machine how it is, where there is no curl."""

import http.client
from typing import Annotated

import typer

from service.cli.running import fail, print_result
from service.settings import DEFAULT_PORT

_TIMEOUT = 5.0  # seconds


def health(
    port: Annotated[int, typer.Option(help="The port of the server.", min=1, max=65535)] = DEFAULT_PORT,
    ready: Annotated[bool, typer.Option("--ready", help="Ask whether it can serve, too: /readyz.")] = False,
) -> None:
    """Ask the server on this machine whether it is alive. Exit status 1 if it is not. Reads no settings."""
    path = "/readyz" if ready else "/healthz"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        answer = response.read(100).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        fail(f"There is no answer at 127.0.0.1:{port}{path}: {str(error) or type(error).__name__}")
    finally:
        connection.close()
    if response.status != 200:
        fail(f"127.0.0.1:{port}{path} answers {response.status}: {answer}")
    print_result(answer)
