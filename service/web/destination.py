"""Where a user is redirected after signing in: only to the application, at the path that `returnTo` names."""

import unicodedata
from urllib.parse import quote, unquote, urlsplit

from service.setting_urls import DEFAULT_PORTS
from service.settings import Settings

HERE = "/"


def after_sign_in(settings: Settings, return_to: str | None) -> str:
    """Return the URL of the application, at `returnTo` if it is given.

    Without an application, this service's own page.
    """
    if settings.app_url is None:
        return HERE
    return settings.app_url if return_to is None else origin_of(settings.app_url) + safe_path(return_to)


def application_elsewhere(settings: Settings) -> str | None:
    """Return the application's URL.

    None if it is this service's own front page, because that redirect would not end.
    """
    if settings.app_url is None:
        return None
    is_front_page = urlsplit(settings.app_url).path in ("", HERE)
    is_here = is_front_page and origin_of(settings.app_url) == origin_of(settings.public_url)
    return None if is_here else settings.app_url


def safe_path(return_to: str) -> str:
    """Return `returnTo` if it is a path on the application's own origin, else `/` (contract §5).

    Browsers read a backslash as a slash, drop tabs and line breaks, and read what follows two slashes as a host (WHATWG
    URL, "relative slash state"). The path is also checked after decoding it once, because a proxy may decode it.
    Percent encoding after `?` or `#` is left to the application.
    """
    path = _path_of(return_to)
    is_safe = _is_plain(return_to) and _is_rooted(path)
    is_safe_decoded = _is_plain(unquote(path)) and _is_rooted(unquote(path))
    return return_to if is_safe and is_safe_decoded else "/"


def origin_of(url: str) -> str:
    """Return the origin of a URL as browsers write it: in lower case, without the scheme's default port."""
    parts = urlsplit(url)
    host = parts.netloc.lower()
    if parts.port == DEFAULT_PORTS[parts.scheme]:
        host = host.removesuffix(f":{parts.port}")
    return f"{parts.scheme}://{quote(host, safe='[]:')}"


def _path_of(reference: str) -> str:
    return reference.partition("#")[0].partition("?")[0]


def _is_plain(text: str) -> bool:
    return "\\" not in text and not any(unicodedata.category(character) == "Cc" for character in text)


def _is_rooted(path: str) -> bool:
    return path.startswith("/") and "//" not in path
