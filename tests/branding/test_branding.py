"""The branding: what it may be, who is told, and that every process follows a change."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.audit.models import AuditEvent
from service.branding.colors import DARK, LIGHT, accent_of, contrast, missing_contrast
from service.branding.configuration import UNBRANDED, BrandingCache, read_branding, update_branding
from service.email_login.mail import compose
from service.email_login.mail_queue import MailKind, QueuedMail
from service.errors import BadUserInput
from service.instance import Instance, open_instance
from service.settings import load_settings
from tests.actions import TESTER
from tests.branding.logos import SVG, png
from tests.clients import Api


@pytest.fixture
async def sqlite_instance(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Instance]:
    """For rules that do not depend on the database."""
    environ = {"DOORCODE_DATABASE_URL": sqlite_url, "DOORCODE_DATA_DIR": str(tmp_path)}
    async with open_instance(load_settings(environ)) as opened:
        yield opened


async def test_change_is_stored_told_and_seen_by_another_process(instance: Instance) -> None:
    other = BrandingCache()
    assert await other.current() == UNBRANDED
    await update_branding({"name": "  Corner\u3000 Shop ", "accent_color": "#2563EB", "logo": png()}, TESTER)
    seen = await other.current()
    assert (seen.name, seen.values.accent_color) == ("Corner Shop", "#2563eb")
    assert seen.logo is not None
    assert seen.logo.content == png()
    assert await other.current() is seen, "it is read again only after a change"
    [event] = await AuditEvent.filter(action="branding.updated")
    changes = json.loads(event.detail)["changes"]
    assert changes["name"] == {"from": None, "to": "Corner Shop"}
    assert changes["logo"] == {"from": None, "to": seen.logo.version}


async def test_field_that_is_not_given_stays_and_null_clears(instance: Instance) -> None:
    await update_branding({"name": "Shop", "support_email": "Help@Example.com", "logo": SVG.encode()}, TESTER)
    await update_branding({"support_email": None, "logo": None}, TESTER)
    branding = await read_branding()
    assert (branding.name, branding.values.support_email, branding.logo) == ("Shop", None, None)


async def test_change_that_changes_nothing_is_no_event(instance: Instance) -> None:
    await update_branding({"name": None}, TESTER)
    assert await AuditEvent.filter(action="branding.updated").count() == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", " "),
        ("name", "x" * 65),
        ("name", "a\u202eb"),
        ("name", "a\x00b"),
        ("name", "=?utf-8?q?x?="),
        ("name", 1),
        ("accent_color", "red"),
        ("accent_color", "#fff"),
        ("accent_color", "#2563eb;}"),
        ("support_email", "nobody"),
        ("support_email", "a@example.com\r\nBcc: x@example.com"),
        ("support_url", "http://example.com/"),
        ("support_url", "javascript:alert(1)"),
        ("support_url", "https://a@example.com/"),
    ],
)
async def test_value_that_is_not_valid_is_refused_by_name(sqlite_instance: Instance, field: str, value: object) -> None:
    with pytest.raises(BadUserInput, match=f"`{field.partition('_')[0]}"):
        await update_branding({field: value}, TESTER)
    assert (await read_branding()).version == 0


@pytest.mark.parametrize(
    ("colors", "words"),
    [
        ({"accent_color": "#ffff00"}, r"`accentColor` #ffff00 has a contrast of 1\.\d\d? : 1 with the light theme"),
        ({"accent_color": "#0b1f4f"}, r"with the dark theme\. 3 : 1 .* or set `accentColorDark`"),
        (
            {"accent_color": "#0b1f4f", "accent_color_dark": "#222222"},
            "`accentColorDark` #222222 .* with the dark theme",
        ),
        ({"accent_color_dark": "#ffffff"}, "needs an `accentColor`"),
    ],
)
async def test_accent_that_cannot_be_seen_is_refused_with_the_missing_contrast(
    sqlite_instance: Instance, colors: dict[str, object], words: str
) -> None:
    with pytest.raises(BadUserInput, match=words):
        await update_branding(colors, TESTER)


async def test_dark_accent_of_its_own_makes_a_dark_brand_possible(sqlite_instance: Instance) -> None:
    branding = await update_branding({"accent_color": "#0b1f4f", "accent_color_dark": "#9db7ff"}, TESTER)
    assert branding.accents is not None
    assert [accent.text for accent in branding.accents] == ["#ffffff", "#000000"]


@pytest.mark.parametrize("color", ["#000000", "#757575", "#767676", "#2563eb", "#ffffff", "#808000", "#ff0000"])
def test_text_on_an_accent_can_be_read(color: str) -> None:
    accent = accent_of(color)
    assert contrast(accent.color, accent.text) >= 4.5
    assert contrast(accent.strong, accent.text) >= 4.5


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)
    assert missing_contrast("#2563eb", LIGHT) is None
    assert missing_contrast("#2563eb", DARK) is None


async def test_api_shows_the_branding_to_everyone_and_the_logo_has_an_address(api: Api) -> None:
    await update_branding({"name": "Shop", "logo": SVG.encode()}, TESTER)
    data = await api.ask("{ signInOptions { name } branding { name logo { url mediaType size } logoDark { url } } }")
    assert data["signInOptions"]["name"] == data["branding"]["name"] == "Shop"
    logo = data["branding"]["logo"]
    assert (logo["mediaType"], data["branding"]["logoDark"]) == ("image/svg+xml", None)
    served = await api.http.get(logo["url"])
    assert (served.status_code, len(served.content)) == (200, logo["size"])


def test_mails_have_the_name_the_colour_and_the_support_contact() -> None:
    values = UNBRANDED.values.model_copy(
        update={"name": 'Ada & "Co", Bücher', "accent_color": "#2563eb", "support_email": "help@example.com"}
    )
    branding = type(UNBRANDED)(1, values, None, None)
    for setting, address in (
        ("a@example.com", "a@example.com"),
        ("Old <b@example.com>", "b@example.com"),
        (None, "no-reply@localhost"),
    ):
        settings = load_settings(
            {"DOORCODE_PUBLIC_URL": "http://localhost:8000"} | ({"DOORCODE_MAIL_FROM": setting} if setting else {})
        )
        mail = compose(QueuedMail(MailKind.INVITATION, "ada@example.com", "https://x"), settings, branding)
        [sender] = mail["From"].addresses
        assert (sender.display_name, sender.addr_spec) == (values.name, address)
        assert mail["Subject"] == f"You are invited to {values.name}"
        text, html = (str(mail.get_body((kind,)).get_content()) for kind in ("plain", "html"))  # type: ignore[union-attr]
        assert "help@example.com" in text
        assert "background: #2563eb; color: #ffffff" in html
        assert "Ada &amp; " in html
