"""Encryption at rest: the operator's keys, the one that is made where there is none, and one that does not fit."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from service.encryption import Cipher, open_cipher
from service.external_auth import secrets
from service.instance import Instance, open_instance
from service.sessions.access_tokens import issue_access_token
from service.settings import Settings, SettingsError, load_settings
from tests.actions import TESTER, answer_to, code_of, enable, member, open_for, rows
from tests.processes import ROOT
from tests.programs import Programs

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
DOES_NOT_FIT = r"^DOORCODE_ENCRYPTION_KEYS: no key fits the secrets in the database"


def with_keys(environ: dict[str, str], *keys: str) -> Settings:
    return load_settings({**environ, "DOORCODE_ENCRYPTION_KEYS": ",".join(keys)})


def test_first_key_encrypts_and_any_decrypts() -> None:
    token = Cipher((OLD,)).encrypt("text")
    assert Cipher((NEW, OLD)).decrypt(token) == "text"
    assert Cipher((NEW,)).decrypt(Cipher((NEW, OLD)).encrypt("text")) == "text"
    with pytest.raises(SettingsError, match=DOES_NOT_FIT):
        Cipher((NEW,)).decrypt(token)


def test_token_under_the_first_key_is_not_renewed_and_any_other_is() -> None:
    token = Cipher((OLD,)).encrypt("text")
    assert Cipher((OLD, NEW)).renewed(token) is None
    renewed = Cipher((NEW, OLD)).renewed(token)
    assert renewed
    assert Cipher((NEW,)).decrypt(renewed) == "text"


# ---------------------------------------------------------------- the key that is made


def test_key_is_made_once_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    settings = load_settings({"DOORCODE_DATA_DIR": str(tmp_path / "a" / "data")})
    token = open_cipher(settings).encrypt("text")
    assert open_cipher(settings).decrypt(token) == "text"
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((settings.data_dir / "encryption.key").stat().st_mode) == 0o600
    assert [path.name for path in settings.data_dir.iterdir()] == ["encryption.key"]


def test_operator_s_keys_leave_no_file_behind(tmp_path: Path) -> None:
    settings = load_settings({"DOORCODE_DATA_DIR": str(tmp_path / "data"), "DOORCODE_ENCRYPTION_KEYS": OLD})
    open_cipher(settings)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"\xff\xfe", OLD.encode()[:-4], b"\n"],
    ids=["empty", "a letter", "no text", "cut off", "a line end"],  # a key in an id would differ from worker to worker
)
def test_key_file_that_is_no_key_is_one_line(tmp_path: Path, content: bytes) -> None:
    settings = load_settings({"DOORCODE_DATA_DIR": str(tmp_path)})
    (tmp_path / "encryption.key").write_bytes(content)
    with pytest.raises(SettingsError, match=r"^DOORCODE_DATA_DIR: the encryption key .* cannot be used") as refused:
        open_cipher(settings)
    assert "\n" not in str(refused.value)
    assert (tmp_path / "encryption.key").read_bytes() == content


def test_data_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"^DOORCODE_DATA_DIR: "):
        open_cipher(load_settings({"DOORCODE_DATA_DIR": str(tmp_path / "file" / "data")}))


def test_processes_that_start_at_once_make_one_key(tmp_path: Path, programs: Programs) -> None:
    program = (
        "from service.encryption import open_cipher; from service.settings import load_settings;"
        "print(open_cipher(load_settings()).encrypt('text'))"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "DOORCODE_DATA_DIR": str(tmp_path / "data")}
    started = [
        subprocess.Popen([sys.executable, "-c", program], env=environ, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    tokens = [process.communicate()[0].strip() for process in started]
    cipher = open_cipher(load_settings({"DOORCODE_DATA_DIR": str(tmp_path / "data")}))
    assert [cipher.decrypt(token) for token in tokens] == ["text"] * 4


# ---------------------------------------------------------------- what the database holds


async def test_key_that_does_not_fit_stops_the_start_with_one_line(environ: dict[str, str]) -> None:
    """Also where it is only the keys of access tokens that it does not fit."""
    async with open_instance(with_keys(environ, OLD)):
        pass
    for _ in range(2):
        with pytest.raises(SettingsError, match=DOES_NOT_FIT) as refused:
            async with open_instance(with_keys(environ, NEW)):
                pass
        assert "\n" not in str(refused.value)
        async with open_instance(with_keys(environ, OLD)) as instance:
            await enable_once(instance)


async def test_start_without_the_key_leaves_none_that_would_pass_for_it(
    sqlite_url: str, environ: dict[str, str], tmp_path: Path
) -> None:
    """A backup would keep it, in the place of the right one."""
    key = tmp_path / "keys" / "encryption.key"
    settings = load_settings({"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(key.parent)})
    async with open_instance(settings) as instance:
        await enable_once(instance)
    right = key.rename(tmp_path / "kept")
    with pytest.raises(SettingsError, match=DOES_NOT_FIT):
        async with open_instance(settings):
            pass
    assert not key.exists()
    right.rename(key)
    async with open_instance(settings):
        pass
    key.write_text(NEW)
    with pytest.raises(SettingsError, match=DOES_NOT_FIT):
        async with open_instance(settings):
            pass
    assert key.read_text() == NEW, "what was there stays"


async def enable_once(instance: Instance) -> None:
    await secrets.enable(instance.cipher, TESTER)


async def test_old_key_can_be_dropped_after_one_start_with_both(environ: dict[str, str]) -> None:
    async with open_instance(with_keys(environ, OLD)) as instance:
        first = await enable(instance)
        second = (await secrets.rotate(instance.cipher, TESTER)).text
        await secrets.revoke((await secrets.list_secrets())[1].id, TESTER)
    async with open_instance(with_keys(environ, NEW, OLD)) as instance:
        assert await answer_to(instance, code_of(second, {"user": {"id": "ada"}})) is None
    async with open_instance(with_keys(environ, NEW)) as instance:
        assert await answer_to(instance, code_of(second, {"user": {"id": "ada"}})) is None
        assert await answer_to(instance, code_of(first, {"user": {"id": "ada"}})) == "INVALID_SIGNATURE"
        session = (await open_for(await member("grace@example.com"))).session
        assert (await issue_access_token(session, instance.settings, instance.cipher)).token
        for row in await rows("jwt_secrets"):
            assert Cipher((NEW,)).decrypt(row["encrypted_secret"]) in {first, second}


async def test_database_of_another_data_directory_does_not_fit(environ: dict[str, str], tmp_path: Path) -> None:
    async with open_instance(load_settings(environ)):
        pass
    elsewhere = {**environ, "DOORCODE_DATA_DIR": str(tmp_path / "other")}
    with pytest.raises(SettingsError, match=DOES_NOT_FIT):
        async with open_instance(load_settings(elsewhere)):
            pass
