"""Types of settings. Each checks its value and returns the normal form that the rest of the service compares."""

import ipaddress
import re
from email.message import EmailMessage
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

import idna
import limits
from cryptography.fernet import Fernet
from pydantic import AfterValidator, BeforeValidator

from service.postgres_url import parse_postgres_url

DEFAULT_PORTS = {"http": 80, "https": 443}
_MAPPED_PREFIX = 96  # bits before the IPv4 address in ::ffff:0:0/96
_MIN_TOKEN_LENGTH = 16
_SWITCH = {"on": True, "1": True, "true": True, "yes": True, "off": False, "0": False, "false": False, "no": False}
# The last label must have a letter: browsers accept no domain cookies for an IP address (RFC 6265, section 5.1.3).
_DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)+[a-z0-9-]*[a-z][a-z0-9-]*")
_REDIS_DATABASE = re.compile(r"(?:/[0-9]{0,9})?")
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\]")


def _comma_separated(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _origin(value: str) -> str:
    url = urlsplit(value)
    if (
        url.scheme not in ("http", "https")
        or not url.hostname
        or url.username
        or url.path not in ("", "/")
        or url.query
        or url.fragment
    ):
        raise ValueError(
            f"'{value}' is not an origin; write scheme://host[:port], for example https://chat.example.com"
        )
    _check_port(url)
    if "*" in url.hostname:
        raise ValueError(f"'{value}' has a wildcard, which no browser sends; write each origin")
    # The form that browsers send in `Origin`: lower case, IDNA A-form, no default port.
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    if not host.isascii():
        host = idna.encode(host, uts46=True).decode()
    if not _HOST.fullmatch(host):
        raise ValueError(f"'{value}' has a host that is neither a name nor an address; correct it")
    port = "" if url.port in (None, DEFAULT_PORTS[url.scheme]) else f":{url.port}"
    return f"{url.scheme}://{host}{port}"


def _app_url(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname or url.username or url.query or url.fragment:
        raise ValueError(f"'{value}' is not a web address without query or fragment")
    _check_port(url)
    return value


def _database_url(value: str) -> str:
    if value.startswith("sqlite://") and value.removeprefix("sqlite://") not in ("", "/", ":memory:"):
        if "?" in value:
            raise ValueError("a SQLite URL has no parameters; take '?' and what follows it out")
        return value
    if urlsplit(value).scheme in ("postgres", "postgresql"):
        parse_postgres_url(value)
        return value
    raise ValueError("write sqlite://<path of a file> or postgres://user:pass@host:port/name")


def _fernet_key(value: str) -> str:
    try:
        Fernet(value)
    except ValueError as error:
        raise ValueError("a key is not a Fernet key (32 bytes, base64url)") from error
    return value


def _network(value: str) -> str:
    """Return the network, in IPv4 where it is an IPv4 network mapped into IPv6 (RFC 4291, section 2.5.5.2)."""
    network = ipaddress.ip_network(value, strict=False)
    mapped = network.network_address.ipv4_mapped if network.version == 6 else None
    if mapped is None or network.prefixlen < _MAPPED_PREFIX:
        return value
    return str(ipaddress.ip_network((mapped, network.prefixlen - _MAPPED_PREFIX)))


def _not_everyone(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a list that covers the whole of IPv4 or IPv6: each client could then claim any address."""
    networks = [ipaddress.ip_network(value, strict=False) for value in values]
    v4 = ipaddress.collapse_addresses(network for network in networks if isinstance(network, ipaddress.IPv4Network))
    v6 = ipaddress.collapse_addresses(network for network in networks if isinstance(network, ipaddress.IPv6Network))
    if any(network.prefixlen == 0 for network in v4) or any(network.prefixlen == 0 for network in v6):
        raise ValueError("this is every address, so each client could claim any other; write those of your proxies")
    return values


def _rate(value: str) -> str:
    value = value.lower()
    if value != "off" and (len(rates := limits.parse_many(value)) != 1 or rates[0].amount < 1):
        raise ValueError("write one rate of 1 or more, such as 60/minute, or off")
    return value


def _rate_limit_url(value: str) -> str:
    if value == "memory://" or value.startswith(("redis://", "rediss://")):
        url = urlsplit(value)
        _check_port(url)
        if value != "memory://" and not _REDIS_DATABASE.fullmatch(url.path):
            raise ValueError(
                "only a number may follow the port, such as /0; in a password, write / as %2F and @ as %40"
            )
        return value
    raise ValueError("write memory:// or redis://host:port/0")


def _smtp_url(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in ("smtp", "smtps", "smtp+starttls") or not url.hostname:
        raise ValueError("write smtp://user:pass@host:port, smtps://… for TLS from the start, or smtp+starttls://…")
    _check_port(url)
    if url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError("nothing may follow the port; in a password, write / as %2F, ? as %3F, # as %23 and @ as %40")
    return value


def _check_port(url: SplitResult) -> None:
    """Raise `ValueError` without the value: if a password has a slash, the part before it is parsed as the port."""
    try:
        _ = url.port
    except ValueError:
        raise ValueError(
            "the port must be a number between 0 and 65535; a slash in a password is written %2F"
        ) from None


def _mail_from(value: str) -> str:
    message = EmailMessage()
    if value.isprintable():  # a line break could start another header
        message["From"] = value
    sender = message["From"]
    if sender is None or sender.defects or len(sender.addresses) != 1 or not sender.addresses[0].domain:
        raise ValueError("write an address, or a name and an address: Example <sign-in@example.com>")
    return value


def _cookie_domain(value: str) -> str:
    domain = value.lstrip(".").lower()
    if not _DOMAIN.fullmatch(domain):
        raise ValueError(f"'{value}' is not a domain such as example.com")
    return domain


def _switch(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.lower() not in _SWITCH:
        raise ValueError("write on or off")
    return _SWITCH[value.lower()]


def _lower_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _token(value: str) -> str:
    """Check that an `Authorization` header can hold the token (RFC 6750, section 2.1)."""
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("write ASCII characters only, without spaces")
    if len(value) < _MIN_TOKEN_LENGTH:
        raise ValueError(f"a token of under {_MIN_TOKEN_LENGTH} characters can be guessed; run: openssl rand -hex 32")
    return value


SECRET = object()
"""Marks a setting that is a secret or contains one."""

AppUrl = Annotated[str, AfterValidator(_app_url)]
CookieDomain = Annotated[str, AfterValidator(_cookie_domain)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
FernetKeys = Annotated[tuple[Annotated[str, AfterValidator(_fernet_key)], ...], BeforeValidator(_comma_separated)]
LowerCase = BeforeValidator(_lower_case)
MailFrom = Annotated[str, AfterValidator(_mail_from)]
Networks = Annotated[
    tuple[Annotated[str, AfterValidator(_network)], ...],
    BeforeValidator(_comma_separated),
    AfterValidator(_not_everyone),
]
Origin = Annotated[str, AfterValidator(_origin)]
Origins = Annotated[tuple[Origin, ...], BeforeValidator(_comma_separated)]
Rate = Annotated[str, AfterValidator(_rate)]
RateLimitUrl = Annotated[str, AfterValidator(_rate_limit_url)]
SmtpUrl = Annotated[str, AfterValidator(_smtp_url)]
Switch = Annotated[bool, BeforeValidator(_switch)]
Token = Annotated[str, AfterValidator(_token)]
