"""What every email sign-in of this process shares."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from service.accounts.models import User
from service.audit.pending import PendingEvents
from service.clock import now
from service.email_login.configuration import read_configuration
from service.email_login.known_clients import remember_client
from service.email_login.mail_queue import MailQueue
from service.encryption import Cipher
from service.folded_lines import FoldedLines
from service.page_urls import PageUrls
from service.rate_limit import FailedSignIns
from service.sessions.lifecycle import Opening, open_session
from service.sessions.models import SignInMethod
from service.sign_in.attempt import SignInAttempt, SignInResult
from service.sign_in.outcome import record_admin_session


@dataclass(frozen=True, slots=True)
class EmailLoginDependencies:
    """What an email sign-in needs. `session_lifetime` is in seconds."""

    cipher: Cipher
    failed_sign_ins: FailedSignIns
    mail_queue: MailQueue
    page_urls: PageUrls
    pending_events: PendingEvents
    folded_lines: FoldedLines
    session_lifetime: int
    sessions_per_user: int

    async def open_session(self, user: User, attempt: SignInAttempt, *, new_user: bool = False) -> SignInResult:
        """Open a new session, in the caller's transaction: an email sign-in never continues one (contract §3)."""
        epoch = (await read_configuration()).session_epoch
        opening = Opening(
            SignInMethod.EMAIL,
            attempt.token_transport,
            attempt.client,
            epoch,
            sessions_per_user=self.sessions_per_user,
        )
        opened = await open_session(user, opening, self._session_end())
        await record_admin_session(opened.session)
        return SignInResult(opened.token, opened.session, new_user)

    async def remember_client(self, user: User, attempt: SignInAttempt) -> None:
        """Make the network and the browser of a sign-in known for the user's address. Call it after the commit."""
        await remember_client(user, attempt.client, attempt.device, self.cipher)

    def _session_end(self) -> datetime:
        return now() + timedelta(seconds=self.session_lifetime)
