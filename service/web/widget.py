"""`/widget.js`, the script that a page of any origin loads to sign its user in, and `/widget.d.ts`, its types."""

import gzip
import hashlib
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from service.web.assets import is_unchanged

MAX_AGE = 600  # seconds: browsers get a corrected widget within this time, and do not revalidate at each page load

_COMMENT = re.compile(rb"^\s*/\*\*.*?\*/\n|\s+// [^\n]*", re.DOTALL | re.MULTILINE)
_INDENT = re.compile(rb"^\s+", re.MULTILINE)


def _without_comments(script: bytes) -> bytes:
    """The script without comments and indents, which are a quarter of its compressed size."""
    return _INDENT.sub(b"", _COMMENT.sub(b"", script))


_SCRIPT = _without_comments((Path(__file__).parent / "widget.js").read_bytes())
_COMPRESSED = gzip.compress(_SCRIPT, mtime=0)
_VERSION = hashlib.sha256(_SCRIPT).hexdigest()[:16]
_HEADERS = {
    "Cache-Control": f"public, max-age={MAX_AGE}",
    "Vary": "Accept-Encoding",
    "Access-Control-Allow-Origin": "*",  # for `crossorigin`, `integrity` and full error messages
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}


_TYPES = (Path(__file__).parent / "widget.d.ts").read_text()


async def serve_widget_types(_: Request) -> Response:
    """Answer with the TypeScript declarations of `window.Doorcode`."""
    return Response(_TYPES, media_type="text/plain", headers={"X-Content-Type-Options": "nosniff"})


async def serve_widget(request: Request) -> Response:
    """Answer with the script, compressed if the client accepts gzip. 304 if the client has this version."""
    compressed = _takes_gzip(request)
    # A strong ETag identifies the bytes as sent, so each encoding has its own (RFC 9110 §8.8.3.3).
    etag = f'"{_VERSION}-gzip"' if compressed else f'"{_VERSION}"'
    headers = {**_HEADERS, "ETag": etag}
    if is_unchanged(request, etag):
        return Response(status_code=304, headers=headers)
    if compressed:
        return Response(_COMPRESSED, media_type="text/javascript", headers={**headers, "Content-Encoding": "gzip"})
    return Response(_SCRIPT, media_type="text/javascript", headers=headers)


def _takes_gzip(request: Request) -> bool:
    """Whether the client accepts `gzip` by name. A client that accepts any encoding (`*`) gets the plain script."""
    for accepted in request.headers.get("accept-encoding", "").lower().split(","):
        coding, _, quality = accepted.replace(" ", "").partition(";q=")
        if coding == "gzip":
            return quality.strip("0.") != "" or quality == ""
    return False
