"""The panel's page of the settings."""

from tests.web.admin.panel import Panel

SETTINGS = "/admin/settings"


def test_settings_are_shown_without_secrets(panel: Panel) -> None:
    page = panel.page(SETTINGS)

    assert panel.site.server.url in page
    assert "DOORCODE_ENCRYPTION_KEYS" in page
    for key in panel.site.settings.encryption_keys:
        assert key not in page


def test_test_mail_is_sent_to_the_admin(panel: Panel) -> None:
    """The site has no mail server: it prints mails."""
    assert panel.done(SETTINGS) == f"{SETTINGS}?done=mail-sent"
    assert "has accepted the test mail" in panel.page(SETTINGS, done="mail-sent")
    assert "To: boss@example.com" in panel.site.server.stderr_text()
