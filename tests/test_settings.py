"""Settings (contract §7): every default, and one clear line for every wrong value."""

import os
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from service.settings import (
    SECRET_SETTINGS,
    AuditStream,
    LogFormat,
    Settings,
    SettingsError,
    load_settings,
    unknown_settings,
    warnings_about,
)
from tests.wrong_settings import KEY, WRONG_ANYWHERE, WRONG_VALUES


def refusal(**environ: str) -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings({f"DOORCODE_{name}": value for name, value in environ.items()})
    return str(refused.value)


def loaded(**environ: str) -> Settings:
    return load_settings({f"DOORCODE_{name}": value for name, value in environ.items()})


def test_every_default_is_the_contract_s() -> None:
    assert loaded() == Settings(
        data_dir=Path("data"),
        database_url="sqlite://data/doorcode.sqlite3",
        database_wait=60,
        encryption_keys=(),
        public_url="http://127.0.0.1:8000",
        insecure_http=False,
        app_url=None,
        allowed_origins=(),
        cookie_domain=None,
        access_token_audience="doorcode",
        session_lifetime=604_800,
        admin_session_lifetime=43_200,
        admin_idle_timeout=7_200,
        sessions_per_user=200,
        access_token_lifetime=600,
        smtp_url=None,
        mail_from=None,
        rate_limit_url="memory://",
        answer_timeout=10,
        failed_sign_ins="60/minute",
        trusted_proxies=(),
        metrics_token=None,
        introspection=True,
        guide=True,
        log_format=None,
        otlp_url=None,
        audit_stream=None,
        audit_retention=None,
        refusal_retention=30,
        used_code_retention=1,
        seat_retention=None,
    )
    assert set(Settings.model_fields) == {
        "data_dir",
        "database_url",
        "database_wait",
        "encryption_keys",
        "public_url",
        "insecure_http",
        "app_url",
        "allowed_origins",
        "cookie_domain",
        "access_token_audience",
        "session_lifetime",
        "admin_session_lifetime",
        "admin_idle_timeout",
        "sessions_per_user",
        "access_token_lifetime",
        "smtp_url",
        "mail_from",
        "rate_limit_url",
        "answer_timeout",
        "failed_sign_ins",
        "trusted_proxies",
        "metrics_token",
        "introspection",
        "guide",
        "log_format",
        "otlp_url",
        "audit_stream",
        "audit_retention",
        "refusal_retention",
        "used_code_retention",
        "seat_retention",
    }


def test_embedded_database_lives_in_the_data_directory() -> None:
    assert loaded(DATA_DIR="/srv/doorcode").sqlite_path == Path("/srv/doorcode/doorcode.sqlite3")
    assert loaded(DATA_DIR="/srv/doorcode", DATABASE_URL="sqlite:///tmp/x.db").sqlite_path == Path("/tmp/x.db")


def test_empty_value_is_as_good_as_none() -> None:
    assert loaded(PUBLIC_URL="", SESSION_LIFETIME="  ", APP_URL="") == loaded()


@pytest.mark.parametrize(
    ("host", "port", "public_url"),
    [
        ("127.0.0.1", 8000, "http://127.0.0.1:8000"),
        ("localhost", 9000, "http://localhost:9000"),
        ("::1", 8000, "http://[::1]:8000"),
        ("127.0.0.2", 1, "http://127.0.0.2:1"),
    ],
)
def test_default_public_url_is_where_it_listens_on_loopback(host: str, port: int, public_url: str) -> None:
    assert load_settings({}, host=host, port=port).public_url == public_url


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "id.example.com"])
def test_public_url_must_be_set_where_it_listens_elsewhere(host: str) -> None:
    with pytest.raises(SettingsError, match=r"^DOORCODE_PUBLIC_URL: must be set"):
        load_settings({}, host=host, port=8000)
    assert load_settings({"DOORCODE_PUBLIC_URL": "https://id.example.com"}, host=host, port=8000).is_secure


def test_plain_http_elsewhere_stops_the_start_unless_it_is_allowed() -> None:
    assert refusal(PUBLIC_URL="http://id.example.com").startswith("DOORCODE_PUBLIC_URL: http://id.example.com is plain")
    assert "DOORCODE_INSECURE_HTTP=1" in refusal(PUBLIC_URL="http://id.example.com")
    assert not loaded(PUBLIC_URL="http://id.example.com", INSECURE_HTTP="1").is_secure
    assert refusal(PUBLIC_URL="http://id.example.com", INSECURE_HTTP="0").startswith("DOORCODE_PUBLIC_URL")
    for local in ("http://localhost", "http://doorcode.localhost:81", "http://[::1]:8000", "http://127.1.2.3"):
        assert loaded(PUBLIC_URL=local).is_on_loopback


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://ID.Example.com", "https://id.example.com"),
        ("https://id.example.com/", "https://id.example.com"),
        ("https://id.example.com:443", "https://id.example.com"),
        ("http://localhost:80", "http://localhost"),
        ("https://id.example.com:8443", "https://id.example.com:8443"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_origins_are_written_as_browsers_write_them(written: str, meant: str) -> None:
    assert loaded(PUBLIC_URL=written).public_url == meant
    assert loaded(ALLOWED_ORIGINS=written).allowed_origins == (meant,)


def test_lists_are_separated_by_commas() -> None:
    assert loaded(ALLOWED_ORIGINS=" https://a.example , ,https://b.example,").allowed_origins == (
        "https://a.example",
        "https://b.example",
    )
    assert loaded(TRUSTED_PROXIES="10.0.0.0/8, ::1").trusted_proxies == ("10.0.0.0/8", "::1")
    other = Fernet.generate_key().decode()
    assert loaded(ENCRYPTION_KEYS=f"{KEY},{other}").encryption_keys == (KEY, other)


@pytest.mark.parametrize("name", [name.upper() for name in Settings.model_fields])
def test_wrong_value_is_one_line_that_names_the_setting(name: str) -> None:
    for value in (*WRONG_VALUES[name], *WRONG_ANYWHERE):
        said = refusal(**{name: value})
        assert said.startswith(f"DOORCODE_{name}: "), value
        assert said.isprintable(), value
        assert 20 < len(said) < 400, value


def test_no_refusal_repeats_a_secret() -> None:
    secret = "correct-horse-battery-staple"
    for said in (
        refusal(DATABASE_URL=f"postgres://doorcode:{secret}@localhost"),
        refusal(DATABASE_URL=f"postgres://doorcode:{secret}@localhost:port/x"),
        refusal(ENCRYPTION_KEYS=secret),
        refusal(SMTP_URL=f"smtp://doorcode:{secret}@:port"),
        refusal(SMTP_URL=f"smtp://doorcode:{secret}@localhost:port"),
        refusal(RATE_LIMIT_URL=f"rediss:/{secret}"),
        refusal(RATE_LIMIT_URL=f"redis://:{secret}@localhost:port/0"),
        refusal(SMTP_URL=f"smtp://user:a@b/{secret}@host"),
        refusal(RATE_LIMIT_URL=f"redis://:a@b/{secret}@host/0"),
        refusal(DATABASE_URL=f"postgres://user:a@b/{secret}@host/name"),
        refusal(DATABASE_URL=f"postgres://user:{secret}%@host/name"),
        refusal(DATABASE_URL=f"postgres://user:{secret}#@host/name"),
        refusal(SMTP_URL=f"smtp://user:{secret}%@host"),
        refusal(SMTP_URL=f"smtp://:{secret}@host"),
        refusal(RATE_LIMIT_URL=f"redis://:{secret}%@host/0"),
        refusal(METRICS_TOKEN=f'"{secret}"'),
        refusal(METRICS_TOKEN=f"{secret},"),
        refusal(SMTP_URL=f"smtp://user:{secret}\u200b@host"),
    ):
        assert secret not in said
        assert secret[:10] not in said


def test_cookie_domain_must_cover_the_public_url() -> None:
    assert refusal(PUBLIC_URL="https://id.example.com", COOKIE_DOMAIN="other.com").startswith("DOORCODE_COOKIE_DOMAIN")
    assert refusal(PUBLIC_URL="https://notexample.com", COOKIE_DOMAIN="example.com").startswith(
        "DOORCODE_COOKIE_DOMAIN"
    )
    assert loaded(PUBLIC_URL="https://id.example.com", COOKIE_DOMAIN=".Example.com").cookie_domain == "example.com"


def test_values_that_are_taken() -> None:
    assert loaded(INTROSPECTION="off").introspection is False
    assert loaded(INTROSPECTION="ON").introspection is True
    assert loaded(LOG_FORMAT="JSON").log_format is LogFormat.JSON
    assert loaded(AUDIT_STREAM="STDOUT").audit_stream is AuditStream.STDOUT
    assert loaded(FAILED_SIGN_INS="OFF").failed_sign_ins == "off"
    assert loaded(METRICS_TOKEN=f" {'x' * 16} ").metrics_token == "x" * 16
    assert loaded(TRUSTED_PROXIES="0.0.0.0/1,::/1").trusted_proxies == ("0.0.0.0/1", "::/1")
    assert loaded(PUBLIC_URL="https://sign_in.intra").public_url == "https://sign_in.intra"
    assert loaded(DATABASE_URL="postgresql://u:p%40@h:1/n?sslmode=require").uses_sqlite is False
    assert loaded(SESSION_LIFETIME="60").session_lifetime == 60
    assert loaded(SMTP_URL="smtps://u:p@h:465").smtp_url == "smtps://u:p@h:465"
    assert loaded(SMTP_URL="smtp://u%40x:p%25@[::1]:25").smtp_url == "smtp://u%40x:p%25@[::1]:25"
    assert loaded(RATE_LIMIT_URL="rediss://h/0?ssl_cert_reqs=none").rate_limit_url.startswith("rediss://")
    assert (
        loaded(MAIL_FROM='"Example, Inc." <sign-in@example.com>').mail_from == '"Example, Inc." <sign-in@example.com>'
    )
    assert loaded(MAIL_FROM="sign-in@[192.0.2.1]").mail_from == "sign-in@[192.0.2.1]"
    assert (
        loaded(APP_URL="https://app.example.com/caf\u00e9/a%20b;c").app_url
        == "https://app.example.com/caf\u00e9/a%20b;c"
    )
    assert loaded(DATABASE_URL="postgres:///n?host=/run/postgresql").uses_sqlite is False


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:a00:0/104", "10.0.0.0/8"),
        ("::FFFF:10.1.2.3/104", "10.0.0.0/8"),
        ("::ffff:127.0.0.1", "127.0.0.1/32"),
        ("::ffff:192.0.2.7/128", "192.0.2.7/32"),
        ("::/64", "::/64"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::127.0.0.1", "::127.0.0.1"),
    ],
)
def test_proxies_in_ipv4_mapped_into_ipv6_are_ipv4(written: str, meant: str) -> None:
    assert loaded(TRUSTED_PROXIES=written).trusted_proxies == (meant,)


def test_plain_http_origin_under_the_cookie_domain_of_an_https_service_stops_the_start() -> None:
    https = {"PUBLIC_URL": "https://id.example.com", "COOKIE_DOMAIN": "example.com"}
    for origin in ("http://app.example.com", "http://example.com:8080", "https://a.example.com, http://b.example.com"):
        assert refusal(**https, ALLOWED_ORIGINS=origin).startswith("DOORCODE_ALLOWED_ORIGINS: http://")
    for origin in (
        "https://app.example.com",
        "http://app.example.org",
        "http://notexample.com",
        "http://localhost:3000",
    ):
        assert loaded(**https, ALLOWED_ORIGINS=origin).allowed_origins == (origin,)
    assert loaded(PUBLIC_URL="https://id.example.com", ALLOWED_ORIGINS="http://app.example.com").allowed_origins
    plain = {**https, "PUBLIC_URL": "http://id.example.com", "INSECURE_HTTP": "1"}
    assert loaded(**plain, ALLOWED_ORIGINS="http://app.example.com").allowed_origins


def test_mail_password_in_clear_is_a_warning_without_the_password() -> None:
    for url in ("smtp://user:hunter2@mail.example.com:587", "smtp://user:hunter2@192.0.2.1"):
        [warning] = warnings_about(loaded(SMTP_URL=url))
        assert warning.startswith("DOORCODE_SMTP_URL: ")
        assert "hunter2" not in warning
    for url in (
        "smtp+starttls://user:hunter2@mail.example.com:587",
        "smtps://user:hunter2@mail.example.com",
        "smtp://user:hunter2@127.0.0.1:25",
        "smtp://user:hunter2@[::1]:25",
        "smtp://localhost",
        "smtp://relay.internal:25",
    ):
        assert warnings_about(loaded(SMTP_URL=url)) == []
    assert warnings_about(loaded()) == []


def test_mail_server_at_the_port_of_another_scheme_is_a_warning() -> None:
    for url in ("smtp+starttls://mail.example.com:465", "smtps://mail.example.com:587", "smtps://mail.example.com:25"):
        [warning] = warnings_about(loaded(SMTP_URL=url))
        assert warning.startswith("DOORCODE_SMTP_URL: port ")
    for url in ("smtp+starttls://mail.example.com:587", "smtps://mail.example.com:465", "smtp://127.0.0.1:25"):
        assert warnings_about(loaded(SMTP_URL=url)) == []


SECRETS = {
    "DATABASE_URL": "postgres://u:p@h:1/n",
    "ENCRYPTION_KEYS": KEY,
    "SMTP_URL": "smtps://u:p@h:465",
    "RATE_LIMIT_URL": "redis://:p@h:1/0",
    "METRICS_TOKEN": "x" * 64,
}


def test_every_setting_with_a_secret_can_be_a_file() -> None:
    assert {name.upper() for name in SECRET_SETTINGS} == set(SECRETS)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("around", ["", "\n", "\r\n", " \n\n", "\ufeff"])
def test_secret_is_read_from_its_file(name: str, around: str, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(around + SECRETS[name] + around, encoding="utf-8", newline="")
    if around == "\ufeff":
        path.write_text(SECRETS[name], encoding="utf-8-sig")
    assert loaded(**{f"{name}_FILE": f" {path} "}) == loaded(**{name: SECRETS[name]})
    assert unknown_settings({f"DOORCODE_{name}_FILE": str(path)}) == []


@pytest.mark.parametrize("name", SECRETS)
def test_secret_that_is_given_twice_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRETS[name])
    said = refusal(**{name: SECRETS[name], f"{name}_FILE": str(path)})
    assert said == f"DOORCODE_{name} and DOORCODE_{name}_FILE are both set; remove one of them"
    assert loaded(**{name: " ", f"{name}_FILE": str(path)}) == loaded(**{name: SECRETS[name], f"{name}_FILE": ""})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        ("directory", "Is a directory"),
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"x" * 65_537, "over 64 KiB"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
    ],
)
def test_secret_file_that_cannot_be_used_is_one_line(content: bytes | str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        path.mkdir()
    refused = refusal(METRICS_TOKEN_FILE=str(path))
    assert refused.startswith(f"DOORCODE_METRICS_TOKEN_FILE: {path} ")
    assert said in refused
    assert "\n" not in refused


def test_wrong_value_in_a_file_names_the_file_s_variable_and_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("smtp://doorcode:hunter2@:port")
    said = refusal(SMTP_URL_FILE=str(path))
    assert said.startswith("DOORCODE_SMTP_URL_FILE: ")
    assert "hunter2" not in said


def test_setting_that_is_no_secret_has_no_file() -> None:
    assert unknown_settings({"DOORCODE_PUBLIC_URL_FILE": "/x", "DOORCODE_DATA_DIR_FILE": "/x"}) == [
        "DOORCODE_DATA_DIR_FILE",
        "DOORCODE_PUBLIC_URL_FILE",
    ]


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        loaded().session_lifetime = 5  # type: ignore[misc]


def test_environment_wins_over_the_file_and_names_that_are_no_settings_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("DOORCODE_")]:
        monkeypatch.delenv(name)
    (tmp_path / ".env").write_text(
        "DOORCODE_SESSION_LIFETIME=100\nDOORCODE_ACCESS_TOKEN_LIFETIME=200\nDOORCODE_SESION_LIFETIME=5\nOTHER=1\n"
    )
    monkeypatch.setenv("DOORCODE_ACCESS_TOKEN_LIFETIME", "300")
    monkeypatch.setenv("DOORCODE_PUBIC_URL", "https://x.example")
    settings = load_settings()
    assert (settings.session_lifetime, settings.access_token_lifetime) == (100, 300)
    assert unknown_settings() == ["DOORCODE_PUBIC_URL", "DOORCODE_SESION_LIFETIME"]
    (tmp_path / ".env").write_text("DOORCODE_SESSION_LIFETIME=x\n")
    assert load_settings({}).session_lifetime == 604_800, "no file is read beside a mapping"
    with pytest.raises(SettingsError, match=r"^DOORCODE_SESSION_LIFETIME: "):
        load_settings()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'OTHER=1\nDOORCODE_PUBLIC_URL="https://auth.example.com\n', "line 2: write NAME=value"),
        ("DOORCODE_PUBLIC_URL=https://auth.example.com".encode("utf-16"), "cannot be read as UTF-8 text"),
    ],
)
def test_file_that_cannot_be_read_stops_the_start(
    content: bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would start as if nothing had been set: on plain http, with its metrics open."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value).startswith(str(tmp_path / ".env"))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_file_is_read_with_a_byte_order_mark_and_may_be_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOORCODE_SESSION_LIFETIME", raising=False)
    (tmp_path / ".env").write_text("DOORCODE_SESSION_LIFETIME=100\n", encoding="utf-8-sig")
    assert load_settings().session_lifetime == 100
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").mkdir()
    assert load_settings().session_lifetime == 604_800
