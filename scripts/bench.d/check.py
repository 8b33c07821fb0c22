"""Checks that each service does the work that it is timed for. Run it before you trust a number."""

import http.client
import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import asyncpg
from processes import Server
from services import Service
from workload import Workload, hash_token

_STORED = "SELECT COUNT(*) FROM sessions WHERE token_hash = $1"


async def shortcomings(service: Service, server: Server, database: str, workload: Workload) -> list[str]:
    """Return what the service does not do. Empty if it does everything."""
    found = [f"it takes a code {what}" for what, code in _bad_codes(workload) if _exchange(service, server, code)]
    person = workload.people[1]
    token = _exchange(service, server, workload.code(person))
    if token is None:
        return [*found, "it does not take a good code"]
    if person.email not in _ask(server, service.viewer(token)):
        found.append("its token does not sign in")
    if "@" in _ask(server, service.viewer(token[:-1] + ("A" if token[-1] != "A" else "B"))):
        found.append("another token signs in as well")
    if await _stored(database, hash_token(token)) != 1:
        found.append("the hash of its token is not stored")
    if await _stored(database, token) != 0:
        found.append("its token itself is stored")
    return found


def _bad_codes(workload: Workload) -> Iterator[tuple[str, str]]:
    good = workload.code(workload.people[1])
    yield "signed with another key", workload.code(workload.people[1], key="k" * 43)
    yield "that has expired", workload.code(workload.people[1], expires_in=-3_600)
    yield "without a signature", good[: good.rindex(".") + 1]
    yield "that says it needs no signature", "eyJhbGciOiJub25lIn0" + good[good.index(".") : good.rindex(".") + 1]


def _exchange(service: Service, server: Server, code: str) -> str | None:
    answer: dict[str, Any] = json.loads(_ask(server, service.exchange(code)))
    return service.token_in(answer)


def _ask(server: Server, request: bytes) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.connect()
    connection.sock.sendall(request)
    answer = http.client.HTTPResponse(connection.sock)
    answer.begin()
    body = answer.read().decode()
    connection.close()
    return body


async def _stored(database: str, token_hash: str) -> int:
    if not database.startswith("postgres"):
        connection = sqlite3.connect(database)
        (count,) = connection.execute(_STORED.replace("$", "?"), (token_hash,)).fetchone()
        connection.close()
        return int(count)
    client = await asyncpg.connect(database)
    try:
        return int(await client.fetchval(_STORED, token_hash))
    finally:
        await client.close()
