"""Logos for tests."""

import struct
import zlib

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 40"><rect width="40" height="40" fill="#0b6e4f"/></svg>'


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int = 2, height: int = 2, *, pixels: bytes | None = None, extra: bytes = b"", interlaced: int = 0
) -> bytes:
    """A PNG with colours of 24 bits."""
    packed = zlib.compress(
        b"".join(b"\0" + b"\x0b\x6e\x4f" * width for _ in range(height)) if pixels is None else pixels
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
