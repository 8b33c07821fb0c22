"""The settings as an admin may see them: each with its value, and no secret in any of them."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from service.setting_sources import variable_of
from service.settings import SECRET_SETTINGS, Settings

SET, NOT_SET = "set", "not set"


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """A setting of the instance."""

    name: str
    """The environment variable."""
    value: str
    """The value as text. Of a URL with a password, only the scheme, the host and the port; of another secret, whether it is set."""
    is_default: bool


def describe_settings(settings: Settings) -> list[ShownSetting]:
    """Return all settings in the order of the guide's table."""
    return [
        ShownSetting(variable_of(name), _shown(settings, name), _is_default(settings, name, field.default))
        for name, field in Settings.model_fields.items()
    ]


def _is_default(settings: Settings, name: str, default: object) -> bool:
    value = getattr(settings, name)
    return bool(value == default) or (
        name == "database_url" and value == f"sqlite://{settings.data_dir}/doorcode.sqlite3"
    )


def _shown(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    if name == "database_url" and settings.uses_sqlite:
        return str(value)
    if name in SECRET_SETTINGS:
        return _without_secrets(str(value)) if value and "://" in str(value) else SET if value else NOT_SET
    if value is None or value == ():
        return NOT_SET
    if isinstance(value, bool):
        return "on" if value else "off"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _without_secrets(url: str) -> str:
    """Return scheme, host and port. The user, the path and the query may hold a password or the name of a database."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
