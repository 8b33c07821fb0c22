"""The branding: what pages and mails show of the customer, and how it changes.

Each page reads only the version. The rest is cached until the version changes. So a change in one process appears on the next
page of every process.

SQL by hand: every request. A page reads the version.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from service.accounts.identifiers import normalise_email
from service.audit.actions import Action
from service.audit.log import Actor, changes_of, record
from service.branding.colors import DARK, LIGHT, MIN_CONTRAST, Accent, Theme, accent_of, missing_contrast, parse_color
from service.branding.logos import Logo, clean_logo
from service.branding.models import BrandingRow
from service.database import Statement, fetch_one, transaction
from service.errors import BadUserInput
from service.safe_urls import A_SAFE_URL, SafeUrl

_ROW = 1  # the only row, which a migration inserts
_VERSION = Statement("SELECT version FROM branding WHERE id = 1")
MAX_NAME_LENGTH = 64
_LOGOS = ("logo", "logo_dark")


def _check_name(value: str) -> str:
    name = " ".join(value.split())
    # Mail programs would decode an encoded word (RFC 2047) in the sender's name into another one.
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable() or "=?" in name:
        raise ValueError("not a name")
    return name


_Name = Annotated[str, AfterValidator(_check_name)]
_Color = Annotated[str, AfterValidator(parse_color)]
_Email = Annotated[str, AfterValidator(normalise_email)]
_A_NAME = f"a text of 1 to {MAX_NAME_LENGTH} printable characters, or null for none"
_A_COLOR = "a colour such as #1d5fd0: # and six hexadecimal digits, or null for none"


class BrandingValues(BaseModel):
    """The texts of the branding. A field's `description` completes the message "`name` must be …"."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", from_attributes=True)

    name: _Name | None = Field(None, description=_A_NAME)
    """What end users know the service as."""
    accent_color: _Color | None = Field(None, description=_A_COLOR)
    """Of buttons, in both themes unless `accent_color_dark` is set."""
    accent_color_dark: _Color | None = Field(None, description=_A_COLOR)
    """Of buttons in the dark theme."""
    support_email: _Email | None = Field(None, description="an email address, or null for none")
    support_url: SafeUrl | None = Field(None, description=A_SAFE_URL)


@dataclass(frozen=True)
class Branding:
    """The branding at one version. Without values, pages and mails have the name and the icon of Doorcode."""

    version: int
    values: BrandingValues
    logo: Logo | None
    logo_dark: Logo | None

    @property
    def name(self) -> str | None:
        """What end users know the service as. None if it has no name of its own."""
        return self.values.name

    @property
    def logo_on_dark(self) -> Logo | None:
        """The logo for the dark theme."""
        return self.logo_dark or self.logo

    @cached_property
    def accents(self) -> tuple[Accent, Accent] | None:
        """The accents of the light and of the dark theme. None for those of Doorcode."""
        light = self.values.accent_color
        return None if light is None else (accent_of(light), accent_of(self.values.accent_color_dark or light))

    @cached_property
    def colors_version(self) -> str:
        """Part of the URL of the colours."""
        return hashlib.sha256(repr(self.accents).encode()).hexdigest()[:16]


UNBRANDED = Branding(0, BrandingValues(), None, None)


class BrandingCache:
    """Caches the branding in this process until its version in the database changes."""

    def __init__(self) -> None:
        self._known = UNBRANDED
        self._is_read = False

    async def current(self) -> Branding:
        """Return the current branding. One read if it has not changed."""
        row = await fetch_one(_VERSION)
        assert row is not None, "a migration makes this row"
        if not self._is_read or self._known.version != row["version"]:
            self._known, self._is_read = await read_branding(), True
        return self._known

    def known(self) -> Branding:
        """Return the branding that this process has read last, without a read: for pages that tell of an outage."""
        return self._known


async def read_branding() -> Branding:
    """Return the current branding."""
    return _branding_of(await BrandingRow.get(id=_ROW))


async def update_branding(changes: Mapping[str, object], by: Actor) -> Branding:
    """Change the branding. A field that is not in `changes` stays, and None clears it. Logos are bytes.

    Raises `BadUserInput` for a value that is not valid, a logo that is not allowed, and an accent with too little contrast.
    """
    logos = {name: _clean(name, value) for name, value in changes.items() if name in _LOGOS}
    try:
        given = BrandingValues.model_validate({name: value for name, value in changes.items() if name not in logos})
    except ValidationError as error:
        raise BadUserInput(_explain(error)) from None
    columns = {**given.model_dump(exclude_unset=True), **logos}
    async with transaction():
        row = await BrandingRow.filter(id=_ROW).select_for_update().get()
        before = _branding_of(row)
        row.update_from_dict(columns)
        after = _branding_of(row)
        if "accent_color" in columns or "accent_color_dark" in columns:
            _check_contrast(after.values)
        if changed := changes_of(_as_detail(before), _as_detail(after)):
            row.version += 1
            await row.save(update_fields=[*columns, "version"])
            await record(Action.BRANDING_UPDATED, by, detail={"changes": changed})
    return _branding_of(row)


def _clean(name: str, content: object) -> bytes | None:
    if content is None:
        return None
    assert isinstance(content, bytes)
    try:
        return clean_logo(content)
    except ValueError as problem:
        raise BadUserInput(f"`{to_camel(name)}` {problem}.") from None


def _check_contrast(values: BrandingValues) -> None:
    """Raise `BadUserInput` unless the accents can be seen in their themes."""
    if values.accent_color is None:
        if values.accent_color_dark is not None:
            raise BadUserInput("`accentColorDark` needs an `accentColor` for the light theme.")
        return
    _check_accent("accentColor", values.accent_color, LIGHT)
    if values.accent_color_dark is not None:
        _check_accent("accentColorDark", values.accent_color_dark, DARK)
    else:
        _check_accent("accentColor", values.accent_color, DARK, ", or set `accentColorDark` for the dark theme")


def _check_accent(name: str, color: str, theme: Theme, other_way: str = "") -> None:
    ratio = missing_contrast(color, theme)
    if ratio is not None:
        raise BadUserInput(
            f"`{name}` {color} has a contrast of {int(ratio * 100) / 100:.2f} : 1 with the {theme.name} theme. "
            f"{MIN_CONTRAST:g} : 1 is needed (WCAG 2.2 AA). {theme.advice}{other_way}."
        )


def _branding_of(row: BrandingRow) -> Branding:
    logo, logo_dark = (None if content is None else Logo.of(bytes(content)) for content in (row.logo, row.logo_dark))
    return Branding(row.version, BrandingValues.model_validate(row), logo, logo_dark)


def _as_detail(branding: Branding) -> dict[str, object]:
    """Return the branding as events tell it: a logo by its version."""
    texts = {to_camel(name): value for name, value in branding.values.model_dump().items()}
    return {
        **texts,
        "logo": branding.logo and branding.logo.version,
        "logoDark": branding.logo_dark and branding.logo_dark.version,
    }


def _explain(error: ValidationError) -> str:
    """Say what the first wrong field must be."""
    name = str(error.errors(include_url=False, include_input=False)[0]["loc"][0])
    return f"`{to_camel(name)}` must be {BrandingValues.model_fields[name].description}."
