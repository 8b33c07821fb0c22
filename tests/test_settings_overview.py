"""The settings as an admin may see them."""

from pathlib import Path

from cryptography.fernet import Fernet

from service.settings import SECRET_SETTINGS, Settings, load_settings
from service.settings_overview import describe_settings

SECRETS = {
    "DOORCODE_DATABASE_URL": "postgres://owner:pass-of-database@db.example.com:5433/name?sslpassword=pass-of-tls",
    "DOORCODE_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    "DOORCODE_SMTP_URL": "smtps://mailer:pass-of-mail@mail.example.com:465",
    "DOORCODE_RATE_LIMIT_URL": "redis://:pass-of-redis@redis.example.com:6379/0",
    "DOORCODE_METRICS_TOKEN": "pass-of-metrics-0123456789",
}


def shown(environ: dict[str, str]) -> dict[str, str]:
    return {one.name: one.value for one in describe_settings(load_settings(environ))}


def test_every_setting_is_shown() -> None:
    assert list(shown({})) == [f"DOORCODE_{name.upper()}" for name in Settings.model_fields]


def test_no_secret_is_shown() -> None:
    assert {name.removeprefix("DOORCODE_").lower() for name in SECRETS} == SECRET_SETTINGS
    values = shown(SECRETS)

    assert not [
        name for name, value in values.items() if "pass-of" in value or SECRETS["DOORCODE_ENCRYPTION_KEYS"] in value
    ]
    assert values["DOORCODE_DATABASE_URL"] == "postgres://db.example.com:5433"
    assert values["DOORCODE_SMTP_URL"] == "smtps://mail.example.com:465"
    assert values["DOORCODE_RATE_LIMIT_URL"] == "redis://redis.example.com:6379"
    assert values["DOORCODE_METRICS_TOKEN"] == values["DOORCODE_ENCRYPTION_KEYS"] == "set"


def test_values_are_as_they_are_used(tmp_path: Path) -> None:
    values = shown({"DOORCODE_DATA_DIR": str(tmp_path), "DOORCODE_ALLOWED_ORIGINS": "http://a.test, http://b.test"})

    assert values["DOORCODE_DATABASE_URL"] == f"sqlite://{tmp_path}/doorcode.sqlite3"
    assert values["DOORCODE_ALLOWED_ORIGINS"] == "http://a.test, http://b.test"
    assert values["DOORCODE_SMTP_URL"] == values["DOORCODE_APP_URL"] == "not set"
    assert (values["DOORCODE_GUIDE"], values["DOORCODE_INSECURE_HTTP"]) == ("on", "off")


def test_defaults_are_marked() -> None:
    marked = {one.name: one.is_default for one in describe_settings(load_settings({"DOORCODE_GUIDE": "0"}))}

    assert marked["DOORCODE_GUIDE"] is False
    assert marked["DOORCODE_SESSION_LIFETIME"] is True
