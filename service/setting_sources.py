"""Where the values of settings come from: the environment, a `.env` file, and files that hold one secret each.

What cannot be read raises `ValueError` with one line for the operator, which never contains a value.
"""

import os
from collections.abc import Collection, Mapping
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

PREFIX = "DOORCODE_"
FILE = "_FILE"
QUOTES = "\"'"
MAX_SECRET_FILE = 65_536  # bytes


def read_environment() -> Mapping[str, str]:
    """Return the variables of the environment and of a `.env` file in the working directory, which comes second."""
    return {**_read_env_file(Path(".env")), **os.environ}


def given_values(environ: Mapping[str, str], secret_names: Collection[str]) -> dict[str, str]:
    """Return the value of each setting that is given, without the white space around it. Empty ones are left out.

    A setting of `secret_names` may be given as the path of a file that holds it: `DOORCODE_X_FILE` for `DOORCODE_X`.
    """
    given = {
        name.removeprefix(PREFIX).lower(): value.strip()
        for name, value in environ.items()
        if name.startswith(PREFIX) and value.strip()
    }
    for name in secret_names:
        path = given.pop(file_name_of(name), None)
        if path is None:
            continue
        variable = variable_of(file_name_of(name))
        if name in given:
            raise ValueError(f"{variable_of(name)} and {variable} are both set; remove one of them")
        given[name] = _read_secret(Path(path), variable)
    for name, value in given.items():
        _check_text(variable_of(name), value)
    return given


def _check_text(variable: str, value: str) -> None:
    """Raise `ValueError` for what is right in no setting. Only a shell and `.env` take quotation marks for their own."""
    if len(value) > 1 and value[0] == value[-1] and value[0] in QUOTES:
        raise ValueError(f"{variable}: the value begins and ends with {value[0]}; take the quotation marks out")
    if not value.isprintable():
        raise ValueError(f"{variable}: the value has a line break or another character that is not visible")


def variable_of(name: str) -> str:
    """Return the variable of a setting."""
    return f"{PREFIX}{name}".upper()


def file_name_of(name: str) -> str:
    """Return the name that a secret setting has where a file holds it."""
    return f"{name}{FILE}".lower()


def _read_secret(path: Path, variable: str) -> str:
    """Return the text of the file without the white space around it, which includes the newline that editors add."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_FILE + 1)
        text = content.decode("utf-8-sig").strip()
    except OSError as error:
        raise ValueError(f"{variable}: {path} cannot be read: {error.strerror or type(error).__name__}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{variable}: {path} is not UTF-8 text") from None
    if not text or len(content) > MAX_SECRET_FILE:
        raise ValueError(f"{variable}: {path} must hold the value, and nothing else; it is empty or over 64 KiB")
    return text


def _read_env_file(path: Path) -> Mapping[str, str]:
    """Return the variables of the file. Raises for a wrong line, which python-dotenv would only log."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):  # a virtual environment may have this name
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.resolve()} cannot be read as UTF-8 text: {error}") from None
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            line = binding.original.line
            raise ValueError(f"{path.resolve()}, line {line}: write NAME=value, and close every quotation mark")
    return {name: value for name, value in dotenv_values(stream=StringIO(text)).items() if value is not None}
