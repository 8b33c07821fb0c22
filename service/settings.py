"""Settings: read once from the environment or a `.env` file, checked, and passed to the rest of the service.

Names, defaults and meanings are those of contract §7. A wrong value raises `SettingsError`, one line that names the
setting. So does a value that is never right; one that is a risk is a line of `warnings_about`.
"""

import ipaddress
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.setting_sources import PREFIX, file_name_of, given_values, read_environment, variable_of
from service.setting_urls import AppUrl, DatabaseUrl, Origin, OtlpUrl, RateLimitUrl, SmtpUrl
from service.setting_values import (
    SECRET,
    CookieDomain,
    DataDir,
    FernetKeys,
    LowerCase,
    MailFrom,
    Networks,
    Origins,
    Rate,
    Switch,
    Token,
)

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
DEFAULT_PUBLIC_URL = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"
_INTEGRATOR_SECRET = f"{PREFIX}JWT_SECRET"  # the samples that sign codes read it
DEFAULT_SESSIONS_PER_USER = 200
MAX_SESSION_LIFETIME = 400 * 24 * 3600  # seconds; browsers limit cookies to it (RFC 6265bis, section 5.5)
_UNLIKELY_MAIL_PORTS = {("smtps", 25), ("smtps", 587), ("smtp+starttls", 465), ("smtp", 465)}  # RFC 8314, section 3

MAX_RETENTION = 36_500  # days


class SettingsError(Exception):
    """A setting is wrong. The message is one line for the operator."""


class LogFormat(StrEnum):
    """The format of log lines: text for people, or JSON."""

    CONSOLE = "console"
    JSON = "json"


class AuditStream(StrEnum):
    """Where a server writes each audit event beside the audit log."""

    STDOUT = "stdout"


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
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return ((address.version == 6 and address.ipv4_mapped) or address).is_loopback


class Settings(BaseModel):
    """All settings (contract §7), checked. Lifetimes are in seconds, retentions in days."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    data_dir: DataDir = Path("data")
    database_url: Annotated[DatabaseUrl, SECRET] = ""
    database_wait: Annotated[int, Field(ge=0, le=86_400)] = 60
    encryption_keys: Annotated[FernetKeys, SECRET] = ()
    public_url: Origin = DEFAULT_PUBLIC_URL
    insecure_http: Switch = False
    app_url: AppUrl | None = None
    allowed_origins: Origins = ()
    cookie_domain: CookieDomain | None = None
    access_token_audience: Annotated[str, Field(min_length=1, max_length=255)] = "doorcode"
    session_lifetime: Annotated[int, Field(ge=1, le=MAX_SESSION_LIFETIME)] = 604_800
    admin_session_lifetime: Annotated[int, Field(ge=300, le=MAX_SESSION_LIFETIME)] = 43_200
    admin_idle_timeout: Annotated[int, Field(ge=600, le=MAX_SESSION_LIFETIME)] = 7_200
    sessions_per_user: Annotated[int, Field(ge=1, le=10_000)] = DEFAULT_SESSIONS_PER_USER
    access_token_lifetime: Annotated[int, Field(ge=1, le=86_400)] = 600
    smtp_url: Annotated[SmtpUrl | None, SECRET] = None
    mail_from: MailFrom | None = None
    rate_limit_url: Annotated[RateLimitUrl, SECRET] = "memory://"
    answer_timeout: Annotated[int, Field(ge=2, le=300)] = 10
    failed_sign_ins: Rate = "60/minute"
    trusted_proxies: Networks = ()
    metrics_token: Annotated[Token | None, SECRET] = None
    introspection: Switch = True
    guide: Switch = True
    log_format: Annotated[LogFormat, LowerCase] | None = None
    otlp_url: OtlpUrl | None = None
    audit_stream: Annotated[AuditStream, LowerCase] | None = None
    audit_retention: Annotated[int, Field(ge=1, le=MAX_RETENTION)] | None = None
    refusal_retention: Annotated[int, Field(ge=1, le=30)] = 30
    used_code_retention: Annotated[int, Field(ge=1, le=MAX_RETENTION)] = 1
    seat_retention: Annotated[int, Field(ge=1, le=MAX_RETENTION)] | None = None

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

    @model_validator(mode="after")
    def _no_plain_http_origin_gets_the_cookie(self) -> Self:
        """Anyone in its network can change such a page, and so make requests with the member cookie of an https user."""
        for origin in self.allowed_origins if self.is_secure and self.cookie_domain else ():
            host = urlsplit(origin).hostname or ""
            if origin.startswith("http:") and (host == self.cookie_domain or host.endswith(f".{self.cookie_domain}")):
                raise ValueError(
                    f"{PREFIX}ALLOWED_ORIGINS: {origin} is plain http under {PREFIX}COOKIE_DOMAIN, so anyone in its "
                    "network could use the cookies of users; serve it by https"
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


SECRET_SETTINGS = frozenset(name for name, field in Settings.model_fields.items() if SECRET in field.metadata)
"""The settings that are secrets or contain one. Each may be given as a file: `DOORCODE_X_FILE` for `DOORCODE_X`."""


def load_settings(
    environ: Mapping[str, str] | None = None, *, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT
) -> Settings:
    """Return the settings of the environment and of a `.env` file in the working directory. Raises `SettingsError`.

    The environment has precedence over the file. If `environ` is given, only this mapping is read. The service listens
    on `host` and `port`; on loopback, they are the default public URL.
    """
    try:
        environ = read_environment() if environ is None else environ
        given: dict[str, object] = {**given_values(environ, SECRET_SETTINGS)}
    except ValueError as error:
        raise SettingsError(str(error)) from None
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
        raise SettingsError(_one_line(error, environ)) from None


def unknown_settings(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return variables that look like settings but are not, such as spelling mistakes. Skips the integrator's secret."""
    environ = read_environment() if environ is None else environ
    known = {*Settings.model_fields, *map(file_name_of, SECRET_SETTINGS)}
    return sorted(
        name
        for name in environ
        if name.startswith(PREFIX) and name != _INTEGRATOR_SECRET and name.removeprefix(PREFIX).lower() not in known
    )


def warnings_about(settings: Settings) -> list[str]:
    """Return one line for each value that is a risk, but right in some networks. The start prints them."""
    found = []
    mail = urlsplit(settings.smtp_url or "")
    if (mail.scheme, mail.port) in _UNLIKELY_MAIL_PORTS:
        found.append(
            f"{variable_of('smtp_url')}: port {mail.port} is usually not that of {mail.scheme}://; "
            "most mail servers take smtp+starttls:// at 587 and smtps:// at 465"
        )
    if mail.scheme == "smtp" and mail.password and not is_loopback(mail.hostname or ""):
        found.append(
            f"{variable_of('smtp_url')}: the password and the sign-in codes go to {mail.hostname} in clear; "
            "use smtp+starttls:// or smtps://, unless the network is trusted"
        )
    return found


def _one_line(error: ValidationError, environ: Mapping[str, str]) -> str:
    """Return the first error with the name of its setting, without the value, which may be secret."""
    first = error.errors(include_url=False, include_input=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return message
    name = str(first["loc"][0])
    file_variable = variable_of(file_name_of(name))
    return f"{file_variable if environ.get(file_variable) else variable_of(name)}: {message}"
