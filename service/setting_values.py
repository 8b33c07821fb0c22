"""Types of settings. Each checks its value and returns the normal form that the rest of the service compares."""

import ipaddress
import re
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated

from cryptography.fernet import Fernet
from pydantic import AfterValidator, BeforeValidator

from service.setting_urls import Origin, check_host, check_path

_BROADCAST = "255.255.255.255"
_BEARER_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_MAPPED_PREFIX = 96  # bits before the IPv4 address in ::ffff:0:0/96
_MIN_TOKEN_LENGTH = 16
_SWITCH = {"on": True, "1": True, "true": True, "yes": True, "off": False, "0": False, "false": False, "no": False}
# The last label must have a letter: browsers accept no domain cookies for an IP address (RFC 6265, section 5.1.3).
_DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)+[a-z0-9-]*[a-z][a-z0-9-]*")
_MAX_RATE = 1_000_000_000
_MAX_RATE_SECONDS = 366 * 24 * 3600


def _comma_separated(value: object) -> object:
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if not parts:
        raise ValueError("the list is empty; write the values with commas between them, or leave it out")
    return parts


def _data_dir(value: Path) -> Path:
    """Check the form, and that no file is in the way. A missing directory is created at the start."""
    check_path(str(value))
    try:
        nearest = next(path for path in (value, *value.absolute().parents) if path.exists())
    except OSError as error:
        raise ValueError(f"{str(value)[:100]} cannot be used: {error.strerror}") from None
    if not nearest.is_dir():
        raise ValueError(f"{nearest} is not a directory")
    return value


def _fernet_key(value: str) -> str:
    try:
        Fernet(value)
    except ValueError as error:
        raise ValueError("a key is not a Fernet key (32 bytes, base64url)") from error
    return value


def _each_once(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise ValueError("a key is in the list twice; take one out")
    return values


def _network(value: str) -> str:
    """Return the network, in IPv4 where it is an IPv4 network mapped into IPv6 (RFC 4291, section 2.5.5.2)."""
    network = ipaddress.ip_network(value, strict=False)
    address = network.network_address
    if network.num_addresses == 1 and (address.is_unspecified or address.is_multicast or str(address) == _BROADCAST):
        raise ValueError(f"'{value}' is the address of no proxy; write the addresses of your proxies")
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
    import limits  # noqa: PLC0415  # 0.02 seconds, which a start with the default need not wait for

    value = value.lower()
    if value == "off":
        return value
    rates = limits.parse_many(value)
    if len(rates) != 1 or not 1 <= rates[0].amount <= _MAX_RATE or not 1 <= rates[0].get_expiry() <= _MAX_RATE_SECONDS:
        raise ValueError("write one rate of 1 or more in a second to a year, such as 60/minute, or off")
    return value


def _mail_from(value: str) -> str:
    message, wrong = EmailMessage(), "write an address, or a name and an address: Example <sign-in@example.com>"
    try:
        message["From"] = value
    except (IndexError, ValueError):  # the parser of the standard library raises the first for `a@`
        raise ValueError(wrong) from None
    sender = message["From"]
    if sender.defects or len(sender.addresses) != 1 or not sender.addresses[0].domain:
        raise ValueError(wrong)
    if not (domain := sender.addresses[0].domain).startswith("["):
        check_host(domain)
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
    if not _BEARER_TOKEN.fullmatch(value):
        raise ValueError("write ASCII letters, digits and - . _ ~ + / only, and = at the end")
    if len(value) < _MIN_TOKEN_LENGTH:
        raise ValueError(f"a token of under {_MIN_TOKEN_LENGTH} characters can be guessed; run: openssl rand -hex 32")
    return value


SECRET = object()
"""Marks a setting that is a secret or contains one."""

CookieDomain = Annotated[str, AfterValidator(_cookie_domain)]
DataDir = Annotated[Path, AfterValidator(_data_dir)]
FernetKeys = Annotated[
    tuple[Annotated[str, AfterValidator(_fernet_key)], ...],
    BeforeValidator(_comma_separated),
    AfterValidator(_each_once),
]
LowerCase = BeforeValidator(_lower_case)
MailFrom = Annotated[str, AfterValidator(_mail_from)]
Networks = Annotated[
    tuple[Annotated[str, AfterValidator(_network)], ...],
    BeforeValidator(_comma_separated),
    AfterValidator(_not_everyone),
]
Origins = Annotated[tuple[Origin, ...], BeforeValidator(_comma_separated)]
Rate = Annotated[str, AfterValidator(_rate)]
Switch = Annotated[bool, BeforeValidator(_switch)]
Token = Annotated[str, AfterValidator(_token)]
