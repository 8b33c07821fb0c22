"""Files that the panel exports: streamed page by page, so that no size is too large."""

import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import StreamingResponse

from service.clock import now


def csv_file(name: str, lines: AsyncIterator[str]) -> StreamingResponse:
    """Return a response that downloads these lines as `NAME-2030-01-31.csv`, with today's date in UTC."""
    return _file(name, "csv", "text/csv; charset=utf-8", lines)


def json_file(name: str, pages: AsyncIterator[list[Any]]) -> StreamingResponse:
    """Return a response that downloads the objects of these pages as one array in `NAME-2030-01-31.json`."""
    return _file(name, "json", "application/json", _array(pages))


async def _array(pages: AsyncIterator[list[Any]]) -> AsyncIterator[str]:
    separator = "[\n"
    async for page in pages:
        for value in page:
            yield separator + json.dumps(value, ensure_ascii=False)
            separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"


def _file(name: str, extension: str, media_type: str, text: AsyncIterator[str]) -> StreamingResponse:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}-{now():%Y-%m-%d}.{extension}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(text, media_type=media_type, headers=headers)
