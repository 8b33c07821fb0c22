"""Encryption at rest. Secrets and private keys are stored as Fernet tokens, encrypted with the operator's keys."""

import hashlib
import hmac
import os
import tempfile
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from service.setting_sources import PREFIX
from service.settings import Settings, SettingsError

KEY_FILE = "encryption.key"

_KEYED_HASH = b"doorcode keyed hash"  # the purpose of the derived key (RFC 5869, 3.2): a key has one purpose


class Cipher:
    """Encrypts with the first key and decrypts with any key, so that a new key in front starts a rotation."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._first = Fernet(keys[0])
        self._all = MultiFernet([Fernet(key) for key in keys])
        self._hash_keys = [hmac.digest(urlsafe_b64decode(key), _KEYED_HASH, hashlib.sha256) for key in keys]

    def encrypt(self, plaintext: str) -> str:
        """Return the Fernet token of the text."""
        return self._all.encrypt(plaintext.encode()).decode()

    def decrypt(self, token: str) -> str:
        """Return the plaintext. Raises `SettingsError` if no key fits: only the operator can add the missing key."""
        try:
            return self._all.decrypt(token.encode()).decode()
        except InvalidToken as error:
            raise SettingsError(
                f"{PREFIX}ENCRYPTION_KEYS: no key fits the secrets in the database; "
                f"add the key that was used before (without {PREFIX}ENCRYPTION_KEYS it is the file {KEY_FILE} "
                "in the data directory)"
            ) from error

    def renewed(self, token: str) -> str | None:
        """Return the token encrypted with the first key, or None if it is already.

        After one start all tokens use the first key, and the operator may remove an old key.
        """
        try:
            self._first.decrypt(token.encode())
        except InvalidToken:
            return self.encrypt(self.decrypt(token))
        return None

    def can_read(self, token: str) -> bool:
        """Return whether any key fits."""
        try:
            self._all.decrypt(token.encode())
        except InvalidToken:
            return False
        return True

    def keyed_hash(self, text: str) -> str:
        """Return the hex HMAC-SHA-256 (RFC 2104) of the text with the first key.

        Short values need a keyed hash. An attacker with a copy of the database can try all codes of 6 digits against a
        plain or salted hash within a second, but does not have the key.
        """
        return _hmac(self._hash_keys[0], text)

    def keyed_hashes(self, text: str) -> tuple[str, ...]:
        """Return the keyed hash of the text with every key, the first key's first: to find what older keys hashed."""
        return tuple(_hmac(key, text) for key in self._hash_keys)

    def fits(self, text: str, keyed_hash: str) -> bool:
        """Return whether the hash was made from this text with any key. Takes the same time for every wrong text."""
        fitting = [hmac.compare_digest(_hmac(key, text), keyed_hash) for key in self._hash_keys]
        return any(fitting)


def _hmac(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def open_cipher(settings: Settings) -> Cipher:
    """Return a cipher with the operator's keys, or with the key in the data directory, which is created if missing."""
    return Cipher(settings.encryption_keys or (key_of(settings.data_dir),))


def has_key(settings: Settings) -> bool:
    """Return whether there is an encryption key already, so that `open_cipher` makes none."""
    return bool(settings.encryption_keys) or (settings.data_dir / KEY_FILE).exists()


@contextmanager
def cipher_that_fits(settings: Settings) -> Iterator[Cipher]:
    """Return the cipher for a start that then checks whether it fits the database.

    If the key was just created and does not fit, the file is deleted. Otherwise it would look like the missing key and
    get into the backups.
    """
    path = settings.data_dir / KEY_FILE
    is_new = not settings.encryption_keys and not path.exists()
    try:
        yield open_cipher(settings)
    except SettingsError:
        if is_new:
            path.unlink(missing_ok=True)
        raise


def key_of(data_dir: Path) -> str:
    """Return the key in the data directory, which is created if missing. Raises `SettingsError`."""
    path = data_dir / KEY_FILE
    try:
        make_data_dir(data_dir)
        if not path.exists():
            _write_once(path, Fernet.generate_key())
        key = path.read_text().strip()
        Fernet(key)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{PREFIX}DATA_DIR: the encryption key {path} cannot be used: {error}") from error
    return key


def make_data_dir(data_dir: Path) -> None:
    """Create the data directory, readable by its owner alone (mode 0700). Raises `SettingsError`."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{PREFIX}DATA_DIR: {data_dir} cannot be created: {error.strerror}") from error


def _write_once(path: Path, content: bytes) -> None:
    """Create a file with this content unless it exists.

    Linking a finished file is atomic: if several processes start at once, one creates the key and all read the same.
    """
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fsync(file.fileno())
        path.hardlink_to(temporary)
    except FileExistsError:
        pass  # another process was first; its key is used
    finally:
        temporary.unlink()
