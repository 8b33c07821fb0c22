"""Static files, held in memory.

Pages link to them with a hash of the content, so browsers may cache them for a year.
"""

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_DIRECTORY = Path(__file__).parent / "static"
_IMMUTABLE = "public, max-age=31536000, immutable"
_REVALIDATE = "no-cache"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served."""

    body: bytes
    media_type: str
    version: str


def _read(path: Path) -> Asset:
    body = path.read_bytes()
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Asset(body, media_type, hashlib.sha256(body).hexdigest()[:16])


# Only these files are served. The path of a request never reaches the file system.
_ASSETS = {path.relative_to(_DIRECTORY).as_posix(): _read(path) for path in _DIRECTORY.rglob("*") if path.is_file()}


def asset_url(name: str) -> str:
    """Return the URL of a file in `static/`. It changes with the content. Raises `KeyError` for an unknown file."""
    return f"/static/{name}?v={_ASSETS[name].version}"


async def serve_asset(request: Request) -> Response:
    """`/static/…`: cacheable for a year under its versioned URL, else with an ETag for revalidation."""
    asset = _ASSETS.get(request.path_params["name"])
    if asset is None:
        raise HTTPException(404)
    return serve_versioned(request, asset.body, asset.media_type, asset.version)


def serve_versioned(
    request: Request, body: bytes, media_type: str, version: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a file that pages link to with its version, or 304 if the client has this version."""
    etag = f'"{version}"'
    is_versioned = request.query_params.get("v") == version
    headers = {
        "Cache-Control": _IMMUTABLE if is_versioned else _REVALIDATE,
        "ETag": etag,
        "X-Content-Type-Options": "nosniff",
        **(headers or {}),
    }
    if is_unchanged(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def is_unchanged(request: Request, etag: str) -> bool:
    """Whether the client has this version (RFC 9110 §13.1.2). Compared weakly, because a proxy may weaken the ETag."""
    known = (tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(","))
    return any(tag in (etag, "*") for tag in known)
