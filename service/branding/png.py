"""Checks a PNG and leaves out what a logo does not need (PNG specification, third edition)."""

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_SIDE = 2_048  # pixels
_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"IDAT", b"IEND"}
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # samples of a pixel, by colour type
_DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def clean_png(content: bytes) -> bytes:
    """Return the PNG without texts, EXIF data, animations and colour profiles. Raises `ValueError` with what is wrong."""
    chunks = [(kind, data) for kind, data in _chunks(content) if kind in _KEPT]
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13 or chunks[-1][0] != b"IEND":
        raise ValueError("is not a complete PNG")
    size = _size_of_pixels(chunks[0][1])
    unpacked = zlib.decompressobj()
    try:
        pixels = unpacked.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"), size + 1)
    except zlib.error:
        raise ValueError("is a PNG with damaged pixels") from None
    if len(pixels) != size or not unpacked.eof:
        raise ValueError("is a PNG whose pixels do not fit its size")
    return SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(SIGNATURE)
    while position + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        data = content[position + 8 : position + 8 + length]
        end = position + 8 + length
        if len(data) != length or content[end : end + 4] != _checksum(kind, data):
            raise ValueError("is a damaged PNG")
        yield kind, data
        if kind == b"IEND":
            return
        position = end + 4


def _size_of_pixels(header: bytes) -> int:
    """Return how many bytes the pixels have before compression."""
    width, height, depth, color, compression, filtering, interlacing = struct.unpack(">IIBBBBB", header)
    if depth not in _DEPTHS.get(color, set()) or compression or filtering or interlacing > 1:
        raise ValueError("is a PNG of an unknown kind")
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise ValueError(f"is a PNG of {width} by {height} pixels; at most {MAX_SIDE:,} by {MAX_SIDE:,} are allowed")
    bits = _CHANNELS[color] * depth
    passes = _ADAM7 if interlacing else ((0, 0, 1, 1),)
    sides = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in passes]
    return sum(high * (1 + (wide * bits + 7) // 8) for wide, high in sides if wide > 0 and high > 0)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + _checksum(kind, data)


def _checksum(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(kind + data))
