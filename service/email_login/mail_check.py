"""A mail that an admin sends to try the mail server, and what became of it."""

from service.branding.configuration import read_branding
from service.email_login.mail import compose_text
from service.email_login.transports import transport_for
from service.settings import Settings

_TEXT = """This is a test mail of {url}.

An admin sent it to see whether mails arrive. You need to do nothing.
"""


async def send_test_mail(email: str, settings: Settings) -> str | None:
    """Send a test mail to this address at once. Return None if the mail server accepted it, else why it did not."""
    try:
        text = _TEXT.format(url=settings.public_url)
        message = compose_text(email, "Test mail of {host}", text, settings, await read_branding())
        await transport_for(settings).send(message)
    except Exception as error:
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return None
