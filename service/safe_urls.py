"""URLs to which pages lead people: https, or http on this machine."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from service.settings import is_loopback
from service.text import find_unsafe_characters

MAX_URL_LENGTH = 2_048

A_SAFE_URL = (
    f"an https URL of at most {MAX_URL_LENGTH} characters, without user name and fragment (http only for this machine), or "
    "null for none"
)
"""Completes the message "`name` must be …"."""


def _check_url(value: str) -> str:
    if len(value) > MAX_URL_LENGTH or find_unsafe_characters(value) or "\\" in value or any(map(str.isspace, value)):
        raise ValueError("not a URL")
    url = urlsplit(value)
    _ = url.port  # raises ValueError if it is no number
    if not url.hostname or "@" in url.netloc or "#" in value:
        raise ValueError("not a URL without user name and fragment")
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname)):
        raise ValueError("neither https nor on loopback")
    return value


SafeUrl = Annotated[str, AfterValidator(_check_url)]
