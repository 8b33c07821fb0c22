"""Settings: read once from the environment or a `.env` file, checked, frozen, passed in. Nothing else reads the environment.

Every name, default and meaning is the contract's (§7). What is wrong raises `SettingsError`: one line that names the setting.
"""

import ipaddress
import os
from collections.abc import Mapping
from email.message import EmailMessage
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import SplitResult, urlsplit

import idna
import limits
from cryptography.fernet import Fernet
from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

PREFIX = "DOORCODE_"
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
_SECRET_OF_THE_INTEGRATOR = f"{PREFIX}JWT_SECRET"  # what the signing samples read it from
_DEFAULT_PORTS = {"http": 80, "https": 443}
LONGEST_SESSION = 400 * 24 * 3600  # seconds; browsers keep no cookie longer (RFC 6265bis, 5.5)


class SettingsError(Exception):
    """A setting is wrong; the message is one line for the operator."""


class LogFormat(StrEnum):
    """How log lines are written: for eyes, or for machines."""

    CONSOLE = "console"
    JSON = "json"


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


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
    # As browsers write it in `Origin`: lower case, A-form, no default port.
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    if not host.isascii():
        host = idna.encode(host, uts46=True).decode()
    port = "" if url.port in (None, _DEFAULT_PORTS[url.scheme]) else f":{url.port}"
    return f"{url.scheme}://{host}{port}"


def _app_url(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname or url.username or url.query or url.fragment:
        raise ValueError(f"'{value}' is not a web address without query or fragment")
    _check_port(url)
    return value


def _database_url(value: str) -> str:
    if value.startswith("sqlite://") and value.removeprefix("sqlite://") not in ("", "/", ":memory:"):
        return value
    url = urlsplit(value)
    if url.scheme in ("postgres", "postgresql") and url.path.strip("/"):
        _check_port(url)
        return value
    raise ValueError("write sqlite://<path of a file> or postgres://user:pass@host:port/name")


def _fernet_key(value: str) -> str:
    try:
        Fernet(value)
    except ValueError as error:
        raise ValueError("a key is not a Fernet key (32 bytes, base64url)") from error
    return value


def _network(value: str) -> str:
    ipaddress.ip_network(value, strict=False)
    return value


def _rate(value: str) -> str:
    if value != "off" and len(limits.parse_many(value)) != 1:
        raise ValueError("write one rate, such as 60/minute, or off")
    return value


def _rate_limit_url(value: str) -> str:
    if value == "memory://" or value.startswith(("redis://", "rediss://")):
        _check_port(urlsplit(value))
        return value
    raise ValueError("write memory:// or redis://host:port/0")


def _smtp_url(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in ("smtp", "smtps", "smtp+starttls") or not url.hostname:
        raise ValueError("write smtp://user:pass@host:port, smtps://… for TLS from the start, or smtp+starttls://…")
    _check_port(url)
    return value


def _check_port(url: SplitResult) -> None:
    """In words of our own: what is taken for the port may be the rest of a password with a slash in it."""
    try:
        _ = url.port
    except ValueError:
        raise ValueError(
            "the port must be a number between 0 and 65535; a slash in a password is written %2F"
        ) from None


def _mail_from(value: str) -> str:
    message = EmailMessage()
    if value.isprintable():  # anything else could begin another header
        message["From"] = value
    sender = message["From"]
    if sender is None or sender.defects or len(sender.addresses) != 1 or not sender.addresses[0].domain:
        raise ValueError("write an address, or a name and an address: Example <sign-in@example.com>")
    return value


def _cookie_domain(value: str) -> str:
    domain = value.lstrip(".").lower()
    if "." not in domain or ":" in domain or "/" in domain:
        raise ValueError(f"'{value}' is not a domain such as example.com")
    return domain


def _switch(value: object) -> object:
    return {"on": True, "off": False}.get(value.lower(), value) if isinstance(value, str) else value


_Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(_comma_separated)]
_Networks = Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], BeforeValidator(_comma_separated)]
_FernetKeys = Annotated[tuple[Annotated[str, AfterValidator(_fernet_key)], ...], BeforeValidator(_comma_separated)]
_Switch = Annotated[bool, BeforeValidator(_switch)]


class Settings(BaseModel):
    """Everything the operator can set (contract §7), checked and complete. Lifetimes are in seconds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    data_dir: Path = Path("data")
    database_url: Annotated[str, AfterValidator(_database_url)] = ""
    encryption_keys: _FernetKeys = ()
    public_url: Annotated[str, AfterValidator(_origin)] = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"
    insecure_http: bool = False
    app_url: Annotated[str, AfterValidator(_app_url)] | None = None
    allowed_origins: _Origins = ()
    cookie_domain: Annotated[str, AfterValidator(_cookie_domain)] | None = None
    access_token_audience: Annotated[str, Field(min_length=1, max_length=255)] = "doorcode"
    session_lifetime: Annotated[int, Field(ge=1, le=LONGEST_SESSION)] = 604_800
    access_token_lifetime: Annotated[int, Field(ge=1, le=86_400)] = 600
    smtp_url: Annotated[str, AfterValidator(_smtp_url)] | None = None
    mail_from: Annotated[str, AfterValidator(_mail_from)] | None = None
    rate_limit_url: Annotated[str, AfterValidator(_rate_limit_url)] = "memory://"
    failed_sign_ins: Annotated[str, AfterValidator(_rate)] = "60/minute"
    trusted_proxies: _Networks = ()
    metrics_token: Annotated[str, Field(min_length=1)] | None = None
    introspection: _Switch = True
    log_format: LogFormat | None = None

    @model_validator(mode="before")
    @classmethod
    def _default_database(cls, values: dict[str, object]) -> dict[str, object]:
        """The embedded database lives in the data directory, wherever that is."""
        return {"database_url": f"sqlite://{values.get('data_dir', 'data')}/doorcode.sqlite3", **values}

    @model_validator(mode="after")
    def _needs_https(self) -> Self:
        if self.public_url.startswith("http:") and not self.is_on_loopback and not self.insecure_http:
            raise ValueError(
                f"{PREFIX}PUBLIC_URL: {self.public_url} is plain http, which sends every session in the clear; "
                f"use https, or set {PREFIX}INSECURE_HTTP=1 where the network is trusted"
            )
        return self

    @model_validator(mode="after")
    def _cookie_domain_covers_public_url(self) -> Self:
        host = urlsplit(self.public_url).hostname or ""
        if self.cookie_domain and host != self.cookie_domain and not host.endswith("." + self.cookie_domain):
            raise ValueError(
                f"{PREFIX}COOKIE_DOMAIN: {self.cookie_domain} is not a parent of {host}, so no browser would take the cookie; "
                f"set it to a parent of the host in {PREFIX}PUBLIC_URL"
            )
        return self

    @property
    def is_on_loopback(self) -> bool:
        """Whether this service is reached on this machine alone."""
        return is_loopback(urlsplit(self.public_url).hostname or "")

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach this service by https, so that cookies can be `Secure`."""
        return self.public_url.startswith("https:")

    @property
    def uses_sqlite(self) -> bool:
        """Whether the database is the embedded one."""
        return self.database_url.startswith("sqlite:")

    @property
    def sqlite_path(self) -> Path:
        """The file of the embedded database."""
        return Path(self.database_url.removeprefix("sqlite://"))


def load_settings(
    environ: Mapping[str, str] | None = None, *, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT
) -> Settings:
    """The settings of the environment, over those of a `.env` file in the working directory; raises `SettingsError`.

    `host` and `port` are where the service listens: the default public URL is made of them where they are on loopback.
    With `environ` given, that mapping alone is read.
    """
    environ = _environment() if environ is None else environ
    given: dict[str, object] = {
        k.removeprefix(PREFIX).lower(): v.strip() for k, v in environ.items() if k.startswith(PREFIX) and v.strip()
    }
    if "public_url" not in given:
        if not is_loopback(host):
            raise SettingsError(
                f"{PREFIX}PUBLIC_URL: must be set, because {host} is not loopback; write the https address that people reach this service at"
            )
        given["public_url"] = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise SettingsError(_one_line(error)) from None


def unknown_settings(environ: Mapping[str, str] | None = None) -> list[str]:
    """Names that look like settings and are none: most likely misspelt. The integrator's own secret is no mistake."""
    environ = _environment() if environ is None else environ
    return sorted(
        name
        for name in environ
        if name.startswith(PREFIX)
        and name != _SECRET_OF_THE_INTEGRATOR
        and name.removeprefix(PREFIX).lower() not in Settings.model_fields
    )


def _environment() -> Mapping[str, str]:
    return {**{name: value for name, value in dotenv_values(".env").items() if value is not None}, **os.environ}


def _one_line(error: ValidationError) -> str:
    """The first thing that is wrong, under the setting's own name; never its value where that may be secret."""
    first = error.errors(include_url=False, include_input=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    return message if not first["loc"] else f"{PREFIX}{str(first['loc'][0]).upper()}: {message}"
