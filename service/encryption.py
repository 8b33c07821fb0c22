"""Encryption at rest: secrets and private keys are Fernet tokens in the database, under the operator's keys."""

import hashlib
import hmac
import os
import tempfile
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from service.settings import PREFIX, Settings, SettingsError

KEY_FILE = "encryption.key"

_KEYED_HASH = b"doorcode keyed hash"  # what a key is derived for (RFC 5869, 3.2), so that no key serves two purposes


class Cipher:
    """Encrypts with the first key, decrypts with any: so keys are rotated by putting a new one in front."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._first = Fernet(keys[0])
        self._all = MultiFernet([Fernet(key) for key in keys])
        self._hash_keys = [hmac.digest(urlsafe_b64decode(key), _KEYED_HASH, hashlib.sha256) for key in keys]

    def encrypt(self, plaintext: str) -> str:
        """A Fernet token for the database."""
        return self._all.encrypt(plaintext.encode()).decode()

    def decrypt(self, token: str) -> str:
        """The plaintext; raises `SettingsError` where no key fits, which is the operator's to mend."""
        try:
            return self._all.decrypt(token.encode()).decode()
        except InvalidToken as error:
            raise SettingsError(
                f"{PREFIX}ENCRYPTION_KEYS: none of the keys fits what the database holds; "
                f"add the key that was used before (without {PREFIX}ENCRYPTION_KEYS it is the file {KEY_FILE} in the data directory)"
            ) from error

    def renewed(self, token: str) -> str | None:
        """The token under the first key, or None where it is already: lets an old key be dropped after one start."""
        try:
            self._first.decrypt(token.encode())
        except InvalidToken:
            return self.encrypt(self.decrypt(token))
        return None

    def keyed_hash(self, text: str) -> str:
        """Hex HMAC-SHA-256 (RFC 2104) under the first key.

        For what is too short to be hashed without one: all codes of 6 digits are tried in a second by whoever reads a
        plain or salted hash in a copy of the database, but that person does not have the key.
        """
        return _hmac(self._hash_keys[0], text)

    def fits(self, text: str, keyed_hash: str) -> bool:
        """Whether the hash was made from this text, under any of the keys; takes as long for any wrong text."""
        fitting = [hmac.compare_digest(_hmac(key, text), keyed_hash) for key in self._hash_keys]
        return any(fitting)


def _hmac(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def open_cipher(settings: Settings) -> Cipher:
    """The operator's keys, else the one in the data directory, which is made where there is none."""
    return Cipher(settings.encryption_keys or (_key_of(settings.data_dir),))


@contextmanager
def cipher_that_fits(settings: Settings) -> Iterator[Cipher]:
    """The same, for a start that finds out whether it fits.

    A key that was made and then does not fit what the database holds is taken away again: it would pass for the one
    that is missing, and get into the backups.
    """
    path = settings.data_dir / KEY_FILE
    is_new = not settings.encryption_keys and not path.exists()
    try:
        yield open_cipher(settings)
    except SettingsError:
        if is_new:
            path.unlink(missing_ok=True)
        raise


def _key_of(data_dir: Path) -> str:
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
    """The data directory, which nobody else may read (mode 0700)."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)


def _write_once(path: Path, content: bytes) -> None:
    """Linking a finished file is atomic: of several processes that start at once, one makes the key and all read it."""
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # mode 0600
    unverified = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fsync(file.fileno())
        path.hardlink_to(unverified)
    except FileExistsError:
        pass  # another process was first: its key is the one
    finally:
        unverified.unlink()
