"""The branding of pages and mails: the query for everyone, the mutation for admins."""

import base64
import binascii
from typing import Annotated

import strawberry

from service.branding import configuration
from service.branding.logos import Logo
from service.errors import BadUserInput
from service.graphql.context import Context, Info
from service.page_urls import BRANDING_PATH

_LOGOS = {"logo": "logo", "logo_dark": "logoDark"}


@strawberry.type(description="A logo as it is served: sanitised.")
class BrandingLogo:
    url: str = strawberry.field(description="The URL of the logo. It changes with the logo.")
    media_type: str = strawberry.field(description="`image/png` or `image/svg+xml`.")
    size: int = strawberry.field(description="The size in bytes.")


@strawberry.type(description="What pages and mails for end users show. Every field is null if it is not set.")
class Branding:
    name: str | None = strawberry.field(description="What end users know the service as.")
    accent_color: str | None = strawberry.field(
        description="The colour of buttons as `#rrggbb`, in both themes unless `accentColorDark` is set."
    )
    accent_color_dark: str | None = strawberry.field(description="The colour of buttons in the dark theme.")
    support_email: str | None = strawberry.field(description="The email address at which end users get help.")
    support_url: str | None = strawberry.field(description="The page on which end users get help.")
    logo: BrandingLogo | None = strawberry.field(description="The logo.")
    logo_dark: BrandingLogo | None = strawberry.field(description="The logo for the dark theme. Null: `logo`.")

    @classmethod
    def of(cls, branding: configuration.Branding, context: Context) -> "Branding":
        """Return the GraphQL type of a branding."""
        return cls(
            **branding.values.model_dump(),
            logo=_logo(branding.logo, "logo", context),
            logo_dark=_logo(branding.logo_dark, "logo-dark", context),
        )


def _logo(logo: Logo | None, name: str, context: Context) -> BrandingLogo | None:
    if logo is None:
        return None
    url = f"{context.instance.settings.public_url}{BRANDING_PATH}/{name}?v={logo.version}"
    return BrandingLogo(url=url, media_type=logo.media_type, size=len(logo.content))


@strawberry.input(description="New values of the branding. A field that is left out stays as it is; null clears it.")
class BrandingInput:
    name: strawberry.Maybe[str | None] = strawberry.field(
        default=None,
        description="1 to 64 printable characters. White space is collapsed. Also the sender's name of mails.",
    )
    accent_color: strawberry.Maybe[str | None] = strawberry.field(
        default=None,
        description=(
            "`#rrggbb`. Its contrast has to be 3 : 1 or more with the light theme and, unless `accentColorDark` is set, with "
            "the dark theme."
        ),
    )
    accent_color_dark: strawberry.Maybe[str | None] = strawberry.field(
        default=None, description="`#rrggbb`. Its contrast with the dark theme has to be 3 : 1 or more."
    )
    support_email: strawberry.Maybe[str | None] = strawberry.field(default=None, description="An email address.")
    support_url: strawberry.Maybe[str | None] = strawberry.field(
        default=None, description="An https URL, or http on loopback, without user name and fragment."
    )
    logo: strawberry.Maybe[str | None] = strawberry.field(
        default=None,
        description=(
            "A PNG of at most 2,048 by 2,048 pixels or an SVG, at most 64 KiB, in base64. It is sanitised: of an SVG, scripts, "
            "style sheets, images and links are left out. A request has 64 KiB at most: use the panel or the command line for a "
            "logo of more than 45 KiB."
        ),
    )
    logo_dark: strawberry.Maybe[str | None] = strawberry.field(
        default=None, description="A logo for the dark theme, with the same rules."
    )

    def given(self) -> dict[str, object]:
        """Return the fields that were sent, null included, and logos decoded. Raises `BadUserInput`."""
        values = {name: maybe.value for name, maybe in vars(self).items() if maybe is not None}
        return {name: _decoded(name, value) if name in _LOGOS else value for name, value in values.items()}


def _decoded(name: str, value: str | None) -> bytes | None:
    try:
        return None if value is None else base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise BadUserInput(
            f"`{_LOGOS[name]}` must be a file in base64 (RFC 4648, section 4), or null for none."
        ) from None


@strawberry.type
class BrandingQueries:
    @strawberry.field(description="What pages and mails for end users show. Needs no rights.")
    async def branding(self, info: Info) -> Branding:
        return Branding.of(await info.context.instance.branding.current(), info.context)


@strawberry.type
class BrandingMutations:
    @strawberry.mutation(
        description=(
            "Changes what pages and mails for end users show, from the next page and mail on. Errors: BAD_USER_INPUT names the value "
            "that is not valid, or the contrast that is missing."
        )
    )
    async def update_branding(
        self, info: Info, input: Annotated[BrandingInput, strawberry.argument(description="The values to change.")]
    ) -> Branding | None:
        by = info.context.caller.require_admin()
        return Branding.of(await configuration.update_branding(input.given(), by), info.context)
