"""`doorcode branding`: shows and changes what pages and mails for end users show."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic.alias_generators import to_camel

from service.audit.log import COMMAND_LINE
from service.branding.configuration import Branding, BrandingValues, read_branding, update_branding
from service.branding.logos import MAX_SIZE, Logo
from service.cli.running import fail, print_result, run
from service.instance import Instance

_FIELDS = {to_camel(name): name for name in BrandingValues.model_fields}
_LOGOS = {"logo": "logo", "logoDark": "logo_dark"}
_NONE = "none"


def branding(
    changes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=VALUE]…",
            help="A field of the branding and its new value, or none. Logos are files: PNG or SVG, at most 64 KiB."
            ' For example: name="Corner Shop" accentColor=#1d6fd0 supportEmail=help@example.com logo=shop.svg logoDark=none',
        ),
    ] = None,
) -> None:
    """Change the name, logo, colour and support contact of pages and mails, and print them. A field that is not named stays."""
    values = dict(_change(text) for text in changes or [])

    async def change(_: Instance) -> Branding:
        return await (update_branding(values, COMMAND_LINE) if values else read_branding())

    shown = run(change)
    for name, field in _FIELDS.items():
        print_result(f"{name:<16} {getattr(shown.values, field) or _NONE}")
    for name, logo in (("logo", shown.logo), ("logoDark", shown.logo_dark)):
        print_result(f"{name:<16} {_describe(logo)}")


def _describe(logo: Logo | None) -> str:
    return _NONE if logo is None else f"{logo.media_type}, {len(logo.content):,} bytes"


def _change(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or name not in _FIELDS | _LOGOS:
        raise typer.BadParameter(
            f"Give NAME=VALUE, with one of these names: {', '.join(_FIELDS | _LOGOS)}.", param_hint="NAME=VALUE"
        )
    if value == _NONE:
        return (_FIELDS | _LOGOS)[name], None
    return (_FIELDS[name], value) if name in _FIELDS else (_LOGOS[name], _read(Path(value)))


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_SIZE + 1)  # one byte more than allowed, so that a larger file is refused and not cut
    except OSError as error:
        fail(f"{file}: {error.strerror}")
