"""Types of settings that are URLs. Each checks its value and returns the normal form that the rest of the service compares.

A message never contains a value that may hold a password.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, NoReturn
from urllib.parse import SplitResult, parse_qsl, urlsplit

import idna
from pydantic import AfterValidator

from service.postgres_url import parse_postgres_url

DEFAULT_PORTS = {"http": 80, "https": 443}
_REDIS_DATABASE = re.compile(r"(?:/[0-9]{0,9})?")
_REDIS_PARAMETERS = {  # of redis-py, which raises only when it connects if it does not know one
    *("ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"),
    *("health_check_interval", "socket_connect_timeout", "socket_timeout"),
}
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"  # RFC 1123, section 2.1, and the underscore of some internal names
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\.?$){_LABEL}(?:\.{_LABEL})*\.?")
_WRONG_IN_URLS = re.compile(r"[\s\"<>\\^`{|}]")  # RFC 3986, section 2: only as percent-encoded
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _origin(value: str) -> str:
    url = urlsplit(value)
    if (
        url.scheme not in ("http", "https")
        or not url.hostname
        or url.path not in ("", "/")
        or any(sign in value for sign in "@?#")
    ):
        raise ValueError(
            f"'{value}' is not an origin; write scheme://host[:port], for example https://chat.example.com"
        )
    _check_port(url)
    if "*" in url.hostname:
        raise ValueError(f"'{value}' has a wildcard, which no browser sends; write each origin")
    # The form that browsers send in `Origin`: lower case, IDNA A-form, no default port.
    host = check_host(url.hostname)
    if _is_unspecified(host):
        raise ValueError(f"'{value}' has an address to listen on, at which no browser reaches it; write a host name")
    port = "" if url.port in (None, DEFAULT_PORTS[url.scheme]) else f":{url.port}"
    return f"{url.scheme}://{host}{port}"


def _app_url(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname or any(sign in value for sign in "@?#"):
        raise ValueError(f"'{value}' is not a web address without query or fragment")
    if _WRONG_IN_URLS.search(value):
        raise ValueError(f"'{value}' has a space or another character that a URL writes as %20 or the like")
    _check_port(url)
    if _is_unspecified(check_host(url.hostname)):
        raise ValueError(f"'{value}' has an address to listen on, at which no browser reaches it; write a host name")
    return value


def check_host(name: str) -> str:
    """Return the host in lower case and IDNA A-form, IPv6 in brackets. Raises `ValueError` without it."""
    wrong = "the host is neither a name nor an address; correct it"
    try:
        if ":" in name:
            return f"[{ipaddress.IPv6Address(name)}]" if "%" not in name else _raise(wrong)
        host = name.lower() if name.isascii() else idna.encode(name, uts46=True).decode()
        if host.rstrip(".").rpartition(".")[2].isdigit():  # browsers take it for an IPv4 address (URL standard, 3.5)
            return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise ValueError(wrong) from None
    return host if _HOST_NAME.fullmatch(host) else _raise(wrong)


def _raise(message: str) -> NoReturn:
    raise ValueError(message)


def _is_unspecified(host: str) -> bool:
    return host in {"0.0.0.0", "[::]"}  # noqa: S104  # compared, not listened on


def _database_url(value: str) -> str:
    if value.startswith("sqlite://") and value.removeprefix("sqlite://") not in ("", "/", ":memory:"):
        path = value.removeprefix("sqlite://")
        if "?" in value or "#" in value:
            raise ValueError("a SQLite URL has no parameters; take '?' or '#' and what follows it out")
        check_path(path)
        if path.endswith("/") or _is_dir(path):
            raise ValueError(f"{path} is a directory; write the path of a file")
        return value
    url = urlsplit(value)
    if url.scheme in ("postgres", "postgresql"):
        _check_encoded(value)
        if url.fragment:
            raise ValueError("nothing may follow a #; in a password, write # as %23")
        parse_postgres_url(value)
        return value
    raise ValueError("write sqlite://<path of a file> or postgres://user:pass@host:port/name")


def _rate_limit_url(value: str) -> str:
    if value == "memory://":
        return value
    url = urlsplit(value)
    if url.scheme not in ("redis", "rediss") or not url.hostname:
        raise ValueError("write memory:// or redis://host:port/0")
    _check_encoded(value)
    _check_port(url)
    check_host(url.hostname)
    if not _REDIS_DATABASE.fullmatch(url.path) or url.fragment:
        raise ValueError("only a number may follow the port, such as /0; in a password, write / as %2F and @ as %40")
    if unknown := sorted({name for name, _ in parse_qsl(url.query, keep_blank_values=True)} - _REDIS_PARAMETERS):
        raise ValueError(f"'{unknown[0][:60]}' is not a parameter that is known here; take it out of the URL")
    return value


def _otlp_url(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in DEFAULT_PORTS or not url.hostname or url.username or not url.path.strip("/"):
        raise ValueError(
            "must be the http or https URL of an OTLP receiver with its path, such as http://127.0.0.1:4318/v1/traces"
        )
    _check_port(url)
    return value


def _smtp_url(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in ("smtp", "smtps", "smtp+starttls") or not url.hostname:
        raise ValueError("write smtp://user:pass@host:port, smtps://… for TLS from the start, or smtp+starttls://…")
    _check_encoded(value)
    _check_port(url)
    if url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError("nothing may follow the port; in a password, write / as %2F, ? as %3F, # as %23 and @ as %40")
    check_host(url.hostname)
    if "@" in url.netloc and not (url.username and url.password):
        raise ValueError("a user name and a password belong together; write smtp://user:pass@host:port, or neither")
    return value


def _check_encoded(value: str) -> None:
    """Raise `ValueError`, without the value, if a % begins no percent-encoded byte (RFC 3986, section 2.1)."""
    if _BROKEN_PERCENT.search(value):
        raise ValueError("a % is not followed by two hexadecimal digits; in a password, write % as %25")


def _check_port(url: SplitResult) -> None:
    """Raise `ValueError` without the value: if a password has a slash, the part before it is parsed as the port."""
    try:
        port = url.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("the port must be a number between 1 and 65535; a slash in a password is written %2F")


def check_path(path: str) -> None:
    """Raise `ValueError` if a shell was expected to replace a part of the path."""
    if path.startswith("~") or "$" in path:
        raise ValueError(f"'{path}' begins with ~ or has a $, which only a shell replaces; write the whole path")


def _is_dir(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except OSError as error:
        raise ValueError(f"{path[:100]} cannot be used: {error.strerror}") from None


AppUrl = Annotated[str, AfterValidator(_app_url)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
Origin = Annotated[str, AfterValidator(_origin)]
OtlpUrl = Annotated[str, AfterValidator(_otlp_url)]
RateLimitUrl = Annotated[str, AfterValidator(_rate_limit_url)]
SmtpUrl = Annotated[str, AfterValidator(_smtp_url)]
