"""The load client: keeps connections busy with ready-made requests, and prints as JSON how they were answered.

It has a process and a core of its own. The figure that the benchmark compares is the server's CPU, not the client's.
"""

import asyncio
import json
import struct
import sys
import time
from pathlib import Path

PATIENCE = 10.0  # seconds that the last answers have after the end


def main() -> None:
    """`load_client.py PORT CONNECTIONS SECONDS FIRST EXPECTED FILE`."""
    port, connections, seconds, first, expected, file = sys.argv[1:]
    load = Load(read_requests(Path(file)), int(first), expected.encode(), time.perf_counter() + float(seconds))
    print(json.dumps(asyncio.run(load.run(int(port), int(connections)))))


def read_requests(path: Path) -> list[bytes]:
    """The ready-made requests of a file."""
    data, requests, at = path.read_bytes(), [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        requests.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return requests


class Load:
    """One run."""

    def __init__(self, requests: list[bytes], first: int, expected: bytes, until: float) -> None:
        self._requests = requests
        self._first = self._next = first
        self._expected = expected
        self._until = until
        self._latencies: list[float] = []  # milliseconds
        self._errors = 0
        self._first_error = ""

    async def run(self, port: int, connections: int) -> dict[str, object]:
        """Every connection until the end; what came of it."""
        started = time.perf_counter()
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + self._until - started + PATIENCE):
            await asyncio.gather(*(self._keep_asking(port) for _ in range(connections)))
        self._latencies.sort()
        return {
            "answers": len(self._latencies),
            "errors": self._errors,
            "seconds": time.perf_counter() - started,
            "p50": self._percentile(0.5),
            "p95": self._percentile(0.95),
            "p99": self._percentile(0.99),
            "next": self._first + len(self._latencies),
            "first_error": self._first_error,
        }

    async def _keep_asking(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        is_first = True  # each connection is answered once at least, on a busy machine too
        while is_first or time.perf_counter() < self._until:
            is_first = False
            request = self._requests[self._next % len(self._requests)]
            self._next += 1
            sent = time.perf_counter()
            writer.write(request)
            header = await reader.readuntil(b"\r\n\r\n")
            length = int(header.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
            self._latencies.append((time.perf_counter() - sent) * 1000)
            self._judge(header, body)
        writer.close()

    def _judge(self, header: bytes, body: bytes) -> None:
        if header[9:10] == b"2" and self._expected in body:
            return
        self._errors += 1
        self._first_error = self._first_error or f"{header[:12].decode()}: {body[:150].decode(errors='replace')}"

    def _percentile(self, share: float) -> float:
        return self._latencies[int((len(self._latencies) - 1) * share)]


if __name__ == "__main__":
    main()
