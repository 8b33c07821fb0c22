"""What every email sign-in of this process shares."""

from dataclasses import dataclass
from datetime import timedelta

from service.accounts.models import User, UserRole
from service.clock import now
from service.email_login.alerts import announce_admin_sign_in
from service.email_login.configuration import read_configuration
from service.email_login.known_clients import remember_client
from service.email_login.mail_queue import MailQueue
from service.encryption import Cipher
from service.page_urls import PageUrls
from service.rate_limit import FailedSignIns
from service.sessions.lifecycle import LiveSession, Opening, may_give_admin_rights, open_session
from service.sessions.models import SignInMethod
from service.sign_in.attempt import SignInAttempt, SignInResult
from service.sign_in.outcome import Outcomes, record_admin_session


@dataclass(frozen=True, slots=True)
class EmailLoginDependencies:
    """What an email sign-in needs. Lifetimes are in seconds."""

    cipher: Cipher
    failed_sign_ins: FailedSignIns
    mail_queue: MailQueue
    page_urls: PageUrls
    outcomes: Outcomes
    session_lifetime: int
    admin_session_lifetime: int
    admin_idle_timeout: int
    sessions_per_user: int

    async def open_session(self, user: User, attempt: SignInAttempt, *, new_user: bool = False) -> SignInResult:
        """Open a new session, in the caller's transaction: an email sign-in never continues one (contract §3).

        A session with admin rights has a shorter lifetime and an idle end.
        """
        epoch = (await read_configuration()).session_epoch
        with_admin_rights = user.role is UserRole.ADMIN and may_give_admin_rights(
            SignInMethod.EMAIL, attempt.token_transport
        )
        lifetime = self.session_lifetime
        if with_admin_rights:
            lifetime = min(lifetime, self.admin_session_lifetime)
        opening = Opening(
            SignInMethod.EMAIL,
            attempt.token_transport,
            attempt.client,
            epoch,
            sessions_per_user=self.sessions_per_user,
            idle_timeout=timedelta(seconds=self.admin_idle_timeout) if with_admin_rights else None,
        )
        opened = await open_session(user, opening, now() + timedelta(seconds=lifetime))
        await record_admin_session(opened.session)
        return SignInResult(opened.token, opened.session, new_user)

    async def remember_client(self, session: LiveSession, attempt: SignInAttempt) -> None:
        """Make the network and the browser of a sign-in known for the user's address. Call it after the commit.

        A session with admin rights from a network that was not known is told to the admin by mail.
        """
        user, client = session.user, attempt.client
        is_new = await remember_client(user, client, attempt.device, self.cipher)
        if is_new and session.has_admin_rights and user.email is not None:
            await announce_admin_sign_in(user.email, client, self.mail_queue)
