"""Settings: read once from the environment or a `.env` file, checked, and passed to the rest of the service.

Names, defaults and meanings are those of contract §7. A wrong value raises `SettingsError`, one line that names the
setting. No other module reads settings from the environment.
"""

import ipaddress
import os
from collections.abc import Mapping
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.setting_values import (
    AppUrl,
    CookieDomain,
    DatabaseUrl,
    FernetKeys,
    LowerCase,
    MailFrom,
    Networks,
    Origin,
    Origins,
    Rate,
    RateLimitUrl,
    SmtpUrl,
    Switch,
    Token,
)

PREFIX = "DOORCODE_"
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
DEFAULT_PUBLIC_URL = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"
_INTEGRATOR_SECRET = f"{PREFIX}JWT_SECRET"  # the samples that sign codes read it
DEFAULT_SESSIONS_PER_USER = 200
MAX_SESSION_LIFETIME = 400 * 24 * 3600  # seconds; browsers limit cookies to it (RFC 6265bis, section 5.5)


class SettingsError(Exception):
    """A setting is wrong. The message is one line for the operator."""


class LogFormat(StrEnum):
    """The format of log lines: text for people, or JSON."""

    CONSOLE = "console"
    JSON = "json"


class MailDelivery(StrEnum):
    """How mails leave: by an SMTP server, on the terminal of `doorcode serve` (on loopback only), or not at all."""

    SMTP = "smtp"
    TERMINAL = "terminal"
    NONE = "none"


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is always this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Settings(BaseModel):
    """All settings (contract §7), checked. Lifetimes are in seconds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    data_dir: Path = Path("data")
    database_url: DatabaseUrl = ""
    encryption_keys: FernetKeys = ()
    public_url: Origin = DEFAULT_PUBLIC_URL
    insecure_http: Switch = False
    app_url: AppUrl | None = None
    allowed_origins: Origins = ()
    cookie_domain: CookieDomain | None = None
    access_token_audience: Annotated[str, Field(min_length=1, max_length=255)] = "doorcode"
    session_lifetime: Annotated[int, Field(ge=1, le=MAX_SESSION_LIFETIME)] = 604_800
    sessions_per_user: Annotated[int, Field(ge=1, le=10_000)] = DEFAULT_SESSIONS_PER_USER
    access_token_lifetime: Annotated[int, Field(ge=1, le=86_400)] = 600
    smtp_url: SmtpUrl | None = None
    mail_from: MailFrom | None = None
    rate_limit_url: RateLimitUrl = "memory://"
    failed_sign_ins: Rate = "60/minute"
    trusted_proxies: Networks = ()
    metrics_token: Token | None = None
    introspection: Switch = True
    guide: Switch = True
    log_format: Annotated[LogFormat, LowerCase] | None = None

    @model_validator(mode="before")
    @classmethod
    def _default_database(cls, values: dict[str, object]) -> dict[str, object]:
        """Put the SQLite database into the data directory by default."""
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
                f"{PREFIX}COOKIE_DOMAIN: {self.cookie_domain} is not a parent of {host}, so browsers refuse it; "
                f"set it to a parent of the host in {PREFIX}PUBLIC_URL"
            )
        return self

    @property
    def is_on_loopback(self) -> bool:
        """Whether the public URL is reachable on this machine only."""
        return is_loopback(urlsplit(self.public_url).hostname or "")

    @property
    def mail_delivery(self) -> MailDelivery:
        """How mails leave (contract §7)."""
        if self.smtp_url is not None:
            return MailDelivery.SMTP
        return MailDelivery.TERMINAL if self.is_on_loopback else MailDelivery.NONE

    @property
    def is_secure(self) -> bool:
        """Whether the public URL is https, so that cookies can be `Secure`."""
        return self.public_url.startswith("https:")

    @property
    def uses_sqlite(self) -> bool:
        """Whether the database is SQLite."""
        return self.database_url.startswith("sqlite:")

    @property
    def sqlite_path(self) -> Path:
        """The file of the SQLite database."""
        return Path(self.database_url.removeprefix("sqlite://"))


def load_settings(
    environ: Mapping[str, str] | None = None, *, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT
) -> Settings:
    """Return the settings of the environment and of a `.env` file in the working directory. Raises `SettingsError`.

    The environment has precedence over the file. If `environ` is given, only this mapping is read. The service listens
    on `host` and `port`; on loopback, they are the default public URL.
    """
    environ = _environment() if environ is None else environ
    given: dict[str, object] = {
        k.removeprefix(PREFIX).lower(): v.strip() for k, v in environ.items() if k.startswith(PREFIX) and v.strip()
    }
    if "public_url" not in given:
        if not is_loopback(host):
            raise SettingsError(
                f"{PREFIX}PUBLIC_URL: must be set, because {host} is not loopback; "
                "write the https address at which users reach this service"
            )
        given["public_url"] = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise SettingsError(_one_line(error)) from None


def unknown_settings(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return variables that look like settings but are not, such as spelling mistakes. Skips the integrator's secret."""
    environ = _environment() if environ is None else environ
    return sorted(
        name
        for name in environ
        if name.startswith(PREFIX)
        and name != _INTEGRATOR_SECRET
        and name.removeprefix(PREFIX).lower() not in Settings.model_fields
    )


def _environment() -> Mapping[str, str]:
    return {**_read_env_file(Path(".env")), **os.environ}


def _read_env_file(path: Path) -> Mapping[str, str]:
    """Return the variables of the file. Raises `SettingsError` for a wrong line, which python-dotenv would only log."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):  # a virtual environment may have this name
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.resolve()} cannot be read as UTF-8 text: {error}") from None
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            line = binding.original.line
            raise SettingsError(f"{path.resolve()}, line {line}: write NAME=value, and close every quotation mark")
    return {name: value for name, value in dotenv_values(stream=StringIO(text)).items() if value is not None}


def _one_line(error: ValidationError) -> str:
    """Return the first error with the name of its setting, without the value, which may be secret."""
    first = error.errors(include_url=False, include_input=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    return message if not first["loc"] else f"{PREFIX}{str(first['loc'][0]).upper()}: {message}"
