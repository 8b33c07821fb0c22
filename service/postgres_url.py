"""PostgreSQL URLs as hosting services hand them out: the parameters of libpq, read for asyncpg.

A parameter is honoured, or ignored because it has no meaning here, or refused by name: none is dropped silently.
"""

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

_FORWARDED = {
    "gsslib",
    "krbsrvname",
    "passfile",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcrl",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslpassword",
    "sslrootcert",
    "target_session_attrs",
}
_FILES = ("sslcert", "sslcrl", "sslkey", "sslrootcert", "passfile")
_VALUES = {
    "sslmode": {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"},
    "sslnegotiation": {"postgres", "direct"},
    "target_session_attrs": {"any", "read-write", "primary"},  # not a standby: sign-in writes
    "channel_binding": {"disable", "prefer", "require"},
    "gssencmode": {"disable", "prefer"},
    "client_encoding": {"utf8", "utf-8", "unicode", "auto"},
    "load_balance_hosts": {"disable"},
    "pgbouncer": {"true", "false", "1", "0", "yes", "no", "on", "off"},
}
_IGNORED = {
    "channel_binding",  # asyncpg has none; refused below where TLS is not required either
    "client_encoding",
    "connection_limit",  # of Prisma's pool
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "pool_timeout",
    "sslcompression",
    "sslsni",
    "supa",  # Supabase marks its poolers by it
    "tcp_user_timeout",
    "uselibpqcompat",
}
_READ_HERE = {
    "application_name",
    "connect_timeout",
    "database",
    "dbname",
    "fallback_application_name",
    "host",
    "options",
    "password",
    "pgbouncer",
    "port",
    "schema",
    "statement_cache_size",
    "timeout",
    "user",
}
_TLS_REQUIRED = {"require", "verify-ca", "verify-full"}
_TRUE = {"true", "1", "yes", "on"}
_HOST = re.compile(r"[\w.:%-]*")  # empty: the local socket; colons and %: an IPv6 address with its zone
_CONNECT_TIMEOUT = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """What a URL says: how to connect with asyncpg, and whether a pooler is in between."""

    connect: dict[str, Any] = field(repr=False)
    """Arguments of `asyncpg.connect`."""

    hosts: tuple[str, ...]
    transaction_pooling: bool

    @property
    def where(self) -> str:
        """The hosts or the socket's directory, for messages."""
        return ", ".join(self.hosts) or "the local socket"


def parse_postgres_url(url: str) -> PostgresUrl:
    """Return what the URL says. Raises `ValueError` with one line that never contains the password."""
    parts = urlsplit(url)
    parameters = _parameters(parts.query)
    _check_channel_binding(parameters)
    login, _, host_list = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    hosts, ports = _hosts(host_list, parameters.get("host", ""), parameters.get("port", ""))
    database = parameters.get("dbname") or parameters.get("database") or unquote(parts.path.lstrip("/"))
    if "/" in parts.path[1:] or "@" in parts.path:
        raise ValueError("the name of the database has a / or an @; in a password, write / as %2F and @ as %40")
    if not database:
        raise ValueError("the name of the database is missing; write postgres://user:pass@host:port/name")
    transaction_pooling = parameters.get("pgbouncer", "false").lower() in _TRUE
    connect: dict[str, Any] = {
        "host": hosts or None,
        "port": ports or None,
        "user": parameters.get("user") or unquote(user) or None,
        "password": parameters.get("password") or unquote(password) or None,
        "database": database,
        "timeout": _connect_timeout(parameters),
        "server_settings": _server_settings(parameters),
    }
    forwarded = {name: value for name, value in parameters.items() if name in _FORWARDED}
    if forwarded.get("sslrootcert") == "system":  # libpq 16; asyncpg takes it for a file
        del forwarded["sslrootcert"]
        connect["ssl"] = ssl.create_default_context()
    if forwarded:
        connect["dsn"] = f"postgresql:///?{urlencode(forwarded)}"
    cache = parameters.get("statement_cache_size", "0" if transaction_pooling else "")
    if cache:
        connect["statement_cache_size"] = _number(cache, "statement_cache_size")
    return PostgresUrl(connect, tuple(hosts), transaction_pooling or connect.get("statement_cache_size") == 0)


def _parameters(query: str) -> dict[str, str]:
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    for name, value in parameters.items():
        if name not in _FORWARDED | _IGNORED | _READ_HERE:
            raise ValueError(f"'{name[:60]}' is not a parameter that is known here; take it out of the URL")
        if name in _VALUES and value.lower() not in _VALUES[name]:
            raise ValueError(f"{name} must be one of {', '.join(sorted(_VALUES[name]))}")
        if name in _FILES and value != "system" and not Path(value).is_file():
            raise ValueError(f"{name}: there is no file {value}")
    return parameters


def _check_channel_binding(parameters: dict[str, str]) -> None:
    """It protects the password of a connection whose TLS is weaker than it looks: ignore it only beside TLS."""
    if parameters.get("channel_binding") == "require" and parameters.get("sslmode") not in _TLS_REQUIRED:
        raise ValueError("channel_binding=require is not supported; use sslmode=require or stricter, or take it out")


def _hosts(host_list: str, host_parameter: str, port_parameter: str) -> tuple[list[str], list[int]]:
    """Return the hosts and their ports. As in libpq, a parameter replaces that part of the address, and no other part.

    One port is for every host.
    """
    in_address = [_host_and_port(text) for text in host_list.split(",")]
    chosen = [_host_and_port(text) for text in host_parameter.split(",")] if host_parameter else in_address
    ports = port_parameter.split(",") if port_parameter else [port for _, port in chosen]
    if not any(ports):
        ports = [port for _, port in in_address]
    if len(ports) not in (1, len(chosen)):
        raise ValueError(f"there are {len(ports)} ports for {len(chosen)} hosts; write one, or one for each host")
    hosts = [host for host, _ in chosen if host]
    if hosts and len(hosts) != len(chosen):
        raise ValueError("a host is missing between two commas")
    numbers = [_port(port or "5432") for port in (ports if len(ports) > 1 else ports * len(chosen))]
    return hosts, numbers if hosts or any(ports) else []


def _host_and_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise ValueError("an IPv6 address is written in brackets, such as [::1]:5432")
        return host, port[1:]
    host, _, port = text.partition(":") if text.count(":") == 1 else (text, "", "")
    host = unquote(host)
    if not host.startswith(("/", "@")) and not _HOST.fullmatch(host):
        raise ValueError("a host is neither a name, nor an address, nor the directory of a socket; correct it")
    return host, port


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise ValueError("the port must be a number between 1 and 65535; a slash in a password is written %2F")
    return int(text)


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError(f"{name} must be a number")
    return int(text)


def _connect_timeout(parameters: dict[str, str]) -> float:
    """In seconds. To libpq, 0 means no limit: the limit here stays."""
    name = "connect_timeout" if "connect_timeout" in parameters else "timeout"
    return float(_number(parameters.get(name, "0"), name)) or _CONNECT_TIMEOUT


def _server_settings(parameters: dict[str, str]) -> dict[str, str]:
    fallback = parameters.get("fallback_application_name") or "doorcode"
    settings = {"application_name": parameters.get("application_name") or fallback}
    if options := parameters.get("options"):
        settings["options"] = options
    if schema := parameters.get("schema"):
        settings["search_path"] = '"' + schema.replace('"', '""') + '"'
    return settings
