"""`doorcode serve`: where it listens, what it refuses or warns of at the start, and what it leaves behind."""

import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.actions import code_of
from tests.processes import Server, run_command
from tests.programs import Programs

Serve = Callable[..., Server]
PUBLIC = {"DOORCODE_PUBLIC_URL": "https://auth.example.test"}
EXCHANGE = (
    "mutation ($code: String!) { exchangeExternalAuthCode(externalAuthCode: $code) {"
    " ... on SessionGrant { token session { ipAddress } } ... on SignInError { code } } }"
)

needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
def sqlite_environ(sqlite_url: str, tmp_path: Path) -> dict[str, str]:
    return {"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path / "data")}


def ask(server: Server, host: str, forwarded: str, **body: Any) -> Any:
    """Asks at a loopback address of either family, as a proxy that passes the client's address on."""
    headers = {"Host": "auth.example.test", "X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https"}
    return httpx2.post(f"http://{host}:{server.port}/graphql", json=body, headers=headers, timeout=30).json()


@needs_ipv6
def test_ipv6_wildcard_takes_ipv4_with_any_number_of_workers(
    server: Serve, sqlite_environ: dict[str, str], postgres_url: str, tmp_path: Path
) -> None:
    for environ, arguments in (
        (sqlite_environ, ()),
        ({**sqlite_environ, "DOORCODE_DATABASE_URL": postgres_url}, ("--workers", "2")),
    ):
        started = server({**environ, **PUBLIC}, "--host", "::", *arguments)
        for host in ("127.0.0.1", "[::1]"):
            assert httpx2.get(f"http://{host}:{started.port}/healthz").status_code == 200
        started.stop()


@needs_ipv6
@pytest.mark.parametrize("trusted", ["127.0.0.1,::1", "::ffff:127.0.0.1,::1", "::ffff:127.0.0.0/104,::1"])
def test_proxy_on_an_ipv6_socket_is_recognised(
    server: Serve, sqlite_environ: dict[str, str], tmp_path: Path, trusted: str
) -> None:
    environ = {**sqlite_environ, **PUBLIC, "DOORCODE_TRUSTED_PROXIES": trusted, "DOORCODE_FAILED_SIGN_INS": "2/minute"}
    secret = run_command(environ, tmp_path, "jwt", "enable").stdout.strip()
    started = server(environ, "--host", "::")
    good = code_of(secret, {"user": {"id": "crm-42"}})
    for host in ("127.0.0.1", "[::1]"):
        for forwarded in ("203.0.113.7", "::ffff:203.0.113.7", "203.0.113.7, ::ffff:127.0.0.1"):
            answer = ask(started, host, forwarded, query=EXCHANGE, variables={"code": good})
            grant = answer["data"]["exchangeExternalAuthCode"]
            assert grant["session"]["ipAddress"] == "203.0.113.7", (host, forwarded)
    bad = code_of("x" * 43, {"user": {"id": "crm-42"}})
    for number in range(4):
        answer = ask(started, "127.0.0.1", f"198.51.100.{number}", query=EXCHANGE, variables={"code": bad})
        assert answer["data"]["exchangeExternalAuthCode"]["code"] == "INVALID_SIGNATURE"


@needs_ipv6
def test_port_that_ipv4_uses_is_in_use_for_the_ipv6_wildcard(
    sqlite_environ: dict[str, str], tmp_path: Path, programs: Programs
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = run_command({**sqlite_environ, **PUBLIC}, tmp_path, "serve", "--host", "::", "--port", port)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f":::{port} cannot be used: ")


def test_graphiql_is_refused_where_the_public_url_is_not_on_loopback(
    sqlite_environ: dict[str, str], tmp_path: Path, programs: Programs
) -> None:
    plain = {"DOORCODE_PUBLIC_URL": "http://auth.example.test", "DOORCODE_INSECURE_HTTP": "1"}
    for public in (PUBLIC, plain):
        ran = run_command({**sqlite_environ, **public}, tmp_path, "serve", "--dev")
        assert (ran.returncode, ran.stdout) == (2, "")
        assert "--dev is for development" in " ".join(ran.stderr.replace("│", "").split())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DOORCODE_TRUSTED_PROXIES", "0.0.0.0/0"),
        ("DOORCODE_METRICS_TOKEN", "x"),
        ("DOORCODE_SMTP_URL_FILE", "missing"),
        ("DOORCODE_ALLOWED_ORIGINS", "http://app.example.test"),
    ],
)
def test_setting_that_is_never_right_stops_the_start(
    name: str, value: str, sqlite_environ: dict[str, str], tmp_path: Path, programs: Programs
) -> None:
    environ: Mapping[str, str] = {**sqlite_environ, **PUBLIC, "DOORCODE_COOKIE_DOMAIN": "example.test", name: value}
    ran = run_command(environ, tmp_path, "serve")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"{name}: ")
    assert ran.stderr.count("\n") == 1


def test_mail_password_in_clear_is_a_line_at_the_start_and_secrets_come_from_files(
    server: Serve, sqlite_environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "smtp").write_text("smtp://user:hunter2@mail.example.test\n")
    said = server({**sqlite_environ, "DOORCODE_SMTP_URL_FILE": "smtp"}).stderr_text()
    assert said.startswith("DOORCODE_SMTP_URL: the password and the sign-in codes go to mail.example.test in clear; ")
    assert "hunter2" not in said


def test_metrics_of_a_killed_server_are_removed_at_the_next_start(
    server: Serve, sqlite_environ: dict[str, str], postgres_url: str, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environ = {**sqlite_environ, "DOORCODE_DATABASE_URL": postgres_url, "TMPDIR": str(temporary)}
    killed = server(environ, "--workers", "2")
    [left] = temporary.glob("doorcode-metrics-*")
    assert any(left.iterdir())
    killed.kill()
    assert left.exists()
    running = server(environ, "--workers", "2")
    [made] = temporary.glob("doorcode-metrics-*")
    assert made != left
    beside = server(environ, "--workers", "2")
    assert made.exists()
    beside.stop()
    running.stop()
    assert list(temporary.glob("doorcode-metrics-*")) == []
