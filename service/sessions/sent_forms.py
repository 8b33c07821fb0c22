"""Remembers which forms of the panel were sent, so that a double click neither rotates twice nor makes two keys."""

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote_plus

from tortoise.exceptions import IntegrityError

from service.clock import now
from service.database import purge_expired, transaction
from service.sessions.models import SentForm

REMEMBERED_FOR = timedelta(days=1)
_POLL_EVERY = 0.1  # seconds
_POLLS = 100  # a form that is handled for longer than ten seconds is treated as one that failed


@dataclass(frozen=True, slots=True)
class SentFormId:
    """The ID that a page put into a form, and the session that sent the form."""

    form_id: str
    session_id: str

    @property
    def _key(self) -> str:
        """What the row is stored under. A form of another session is another form."""
        return hashlib.sha256(f"{self.session_id}\0{self.form_id}".encode()).hexdigest()

    async def claim(self) -> bool:
        """Record that the form is being handled. False if it was sent before."""
        try:
            async with transaction():
                await SentForm.create(id=self._key, expires_at=now() + REMEMBERED_FOR)
        except IntegrityError:
            return False
        return True

    async def finish(self, location: str | None) -> None:
        """Store the page after the form. Without one, the form was refused: it may be sent again."""
        async with transaction():
            if location is None:
                await SentForm.filter(id=self._key).delete()
            else:
                await SentForm.filter(id=self._key).update(location=location)

    async def wait_for_result(self) -> str | None:
        """Return the page after the form. None if the form was refused, or not handled within ten seconds."""
        for _ in range(_POLLS):
            sent = await SentForm.get_or_none(id=self._key)
            if sent is None or sent.location is not None:
                return sent.location if sent else None
            await asyncio.sleep(_POLL_EVERY)
        await self.finish(None)
        return None


async def forget_forms_about(texts: Iterable[str]) -> None:
    """Delete the forms whose next page has one of these texts in its query, in the caller's transaction."""
    for text in texts:
        await SentForm.filter(location__contains=f"={quote_plus(text)}").delete()


async def purge_sent_forms(batch: int) -> int:
    """Delete at most `batch` expired rows, and return how many were deleted."""
    return await purge_expired("sent_forms", "id", "expires_at", batch)
