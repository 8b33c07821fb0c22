"""Backups of the embedded database: one tar file with the SQLite file and the encryption key.

SQLite copies a consistent state while servers run (`VACUUM INTO`). A restore replaces files, so no server may run.
"""

import os
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from service.database.migration import packaged_migrations
from service.encryption import KEY_FILE, Cipher, has_key, key_of, make_data_dir
from service.settings import Settings, SettingsError

DATABASE = "doorcode.sqlite3"
_BESIDE = ("-wal", "-shm")  # files that belong to a database file


@dataclass(frozen=True, slots=True)
class Backup:
    """The files of a backup, unpacked and checked."""

    database: Path
    key: str | None
    """None if the backup was made without the key."""


def write_backup(settings: Settings, target: Path, *, with_key: bool) -> None:
    """Write a backup, readable by its owner alone, or nothing. Raises `SettingsError`, also if the file exists."""
    _require_sqlite(settings, "Use pg_dump, and keep the encryption key with the dump.")
    if target.exists():
        raise SettingsError(f"{target} exists already. Choose another name.")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as directory:
            database, archive = Path(directory) / DATABASE, Path(directory) / "archive"
            with closing(sqlite3.connect(f"file:{settings.sqlite_path}?mode=ro", uri=True)) as connection:
                connection.execute("VACUUM INTO ?", [str(database)])
            with tarfile.open(archive, "w") as tar:
                tar.add(database, DATABASE)
                if with_key:
                    key = Path(directory) / KEY_FILE
                    key.write_text(_key_in_use(settings))
                    tar.add(key, KEY_FILE)
            archive.chmod(0o600)
            with archive.open("rb") as file:
                os.fsync(file.fileno())
            target.hardlink_to(archive)  # fails if the file exists meanwhile, and is never half written
    except (OSError, sqlite3.Error, tarfile.TarError) as error:
        raise SettingsError(f"The backup {target} cannot be written: {error}") from error


def read_backup(settings: Settings, source: Path, directory: Path) -> Backup:
    """Unpack a backup into this directory, and check that this version and its encryption key can use it.

    Raises `SettingsError`.
    """
    _require_sqlite(settings, "Use pg_restore, then: doorcode after-restore")
    database = directory / DATABASE
    try:
        with tarfile.open(source, "r:") as tar:
            unpacked = {name: tar.extractfile(name) for name in tar.getnames() if name in (DATABASE, KEY_FILE)}
            content, key = unpacked.get(DATABASE), unpacked.get(KEY_FILE)
            if content is None:
                raise SettingsError(f"{source} is not a backup that doorcode backup has made.")
            with database.open("wb") as file:
                while piece := content.read(1 << 20):
                    file.write(piece)
            backup = Backup(database, key.read().decode().strip() if key else None)
        _check(settings, backup)
    except (OSError, tarfile.TarError, sqlite3.Error, UnicodeDecodeError) as error:
        raise SettingsError(f"The backup {source} cannot be read: {error}") from error
    return backup


def put_in_place(settings: Settings, backup: Backup) -> list[Path]:
    """Replace the database and the key by those of the backup, and return where the replaced files are.

    Raises `SettingsError` if a server or a command has the database open.
    """
    moment = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    target, key_file = settings.sqlite_path, settings.data_dir / KEY_FILE
    _require_unused(target)
    replaced = [_set_aside(path, moment) for path in (target,) if path.exists()]
    for suffix in _BESIDE:
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    backup.database.replace(target)
    if backup.key is not None and not settings.encryption_keys:
        if key_file.exists() and key_file.read_text().strip() != backup.key:
            replaced.append(_set_aside(key_file, moment))
        make_data_dir(settings.data_dir)
        key_file.touch(mode=0o600)
        key_file.write_text(backup.key)
    return replaced


def _set_aside(path: Path, moment: str) -> Path:
    return path.rename(path.with_name(f"{path.name}.replaced-{moment}"))


def _require_sqlite(settings: Settings, instead: str) -> None:
    if not settings.uses_sqlite:
        raise SettingsError(f"The database is PostgreSQL, and this command is for SQLite. {instead}")


def _key_in_use(settings: Settings) -> str:
    """Return the key that every text in the database is encrypted with: each start sees to it."""
    if not has_key(settings):
        raise SettingsError("There is no encryption key. Write a backup without it: --without-key")
    return settings.encryption_keys[0] if settings.encryption_keys else key_of(settings.data_dir)


def _check(settings: Settings, backup: Backup) -> None:
    with closing(sqlite3.connect(backup.database)) as connection:
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise SettingsError("The database in the backup is damaged.")
        applied = {
            name for (name,) in connection.execute("SELECT name FROM tortoise_migrations WHERE app = 'doorcode'")
        }
        texts = [
            text
            for (text,) in connection.execute(
                "SELECT encrypted_private_key FROM signing_keys UNION ALL"
                " SELECT encrypted_secret FROM jwt_secrets WHERE encrypted_secret <> ''"
            )
        ]
    if newer := applied - packaged_migrations():
        raise SettingsError(
            f"The backup is of a newer version of Doorcode, which made {', '.join(sorted(newer))}. Install that version."
        )
    keys = settings.encryption_keys or ((backup.key,) if backup.key else ())
    if not keys and has_key(settings):
        keys = (key_of(settings.data_dir),)
    if not keys or not all(map(Cipher(keys).can_read, texts)):
        raise SettingsError(
            "The encryption key does not fit the backup. Set DOORCODE_ENCRYPTION_KEYS to the key of its time, or take it out "
            "where the backup holds the key."
        )


def _require_unused(path: Path) -> None:
    """Raise `SettingsError` if another process has the database open: leaving WAL mode needs the only connection."""
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path, timeout=1)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        raise SettingsError(f"{path} is in use. Stop the server first. ({error})") from error
    except sqlite3.DatabaseError:
        return  # damaged: that is what the backup is for
