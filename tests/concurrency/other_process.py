"""Another process on the same database. On request it exchanges many codes at once.

`python -m tests.concurrency.other_process` opens the service as a command does and says "ready". Of each line that it is sent
(JSON) it exchanges all the codes at the same time, and prints what each was answered.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from service.errors import SignInRefused
from service.external_auth.exchange import exchange
from service.instance import Instance, open_instance
from service.logs import configure_logs
from service.sessions.lifecycle import Client
from service.sessions.models import TokenTransport
from service.settings import load_settings
from service.sign_in.attempt import SignInAttempt
from tests.processes import ROOT


class OtherProcess:
    """Such a process, as a test has it."""

    def __init__(self, environ: Mapping[str, str], directory: Path) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DOORCODE_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.concurrency.other_process"],
            cwd=directory,
            env={**inherited, "PYTHONPATH": str(ROOT), **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def start(self, codes: Sequence[str]) -> None:
        """Tell the process to begin."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(list(codes)) + "\n")
        self._process.stdin.flush()

    def answers(self) -> list[str]:
        """What each of the codes was answered: a `SignInErrorCode`, "new" or "known"."""
        assert self._process.stdout
        answered: list[str] = json.loads(self._process.stdout.readline())
        return answered


async def _answer(instance: Instance, code: str) -> str:
    try:
        result = await exchange(
            code, SignInAttempt(Client("192.0.2.9", "other process"), TokenTransport.BEARER), instance.external_auth
        )
    except SignInRefused as refused:
        return refused.code.value
    return "new" if result.new_user else "known"


async def _main() -> None:
    settings = load_settings()
    configure_logs(settings)
    async with open_instance(settings) as instance:
        _tell("ready")
        while line := await asyncio.to_thread(sys.stdin.readline):
            _tell(json.dumps(await asyncio.gather(*(_answer(instance, code) for code in json.loads(line)))))


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main())
