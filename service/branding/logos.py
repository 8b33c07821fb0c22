"""Logos: a PNG or an SVG, checked and sanitised before it is stored."""

import hashlib
from dataclasses import dataclass

from service.branding.png import SIGNATURE, clean_png
from service.branding.svg import clean_svg

MAX_SIZE = 64 * 1024
"""The largest logo, in bytes, as it is given and as it is stored."""


@dataclass(frozen=True, slots=True)
class Logo:
    """A logo as it is served."""

    content: bytes
    media_type: str
    version: str
    """Part of the URL, so that browsers may keep the logo for a year."""

    @classmethod
    def of(cls, content: bytes) -> "Logo":
        """Return a logo that was sanitised before."""
        media_type = "image/png" if content.startswith(SIGNATURE) else "image/svg+xml"
        return cls(content, media_type, hashlib.sha256(content).hexdigest()[:16])


def clean_logo(content: bytes) -> bytes:
    """Return the sanitised logo. Raises `ValueError` with what is wrong, in words that follow the name of the logo."""
    if len(content) > MAX_SIZE:
        raise ValueError(f"has {len(content):,} bytes; at most {MAX_SIZE:,} (64 KiB) are allowed")
    if content.startswith(SIGNATURE):
        return clean_png(content)
    if b"<svg" not in content and b":svg" not in content and not content.startswith((b"\xfe\xff", b"\xff\xfe")):
        raise ValueError("is neither a PNG nor an SVG")
    clean = clean_svg(content)
    if len(clean) > MAX_SIZE:
        raise ValueError(f"has {len(clean):,} bytes after sanitising; at most {MAX_SIZE:,} (64 KiB) are allowed")
    return clean
