"""A fresh proof: an admin gives another email code in a session that is open already (contract §3)."""

from dataclasses import dataclass

from service.database import transaction
from service.email_login.codes import use_up
from service.email_login.dependencies import EmailLoginDependencies
from service.email_login.login import CodeRequest, check_code, request_email_code
from service.errors import SignInRefused
from service.refusal_texts import SignInErrorCode
from service.sessions.lifecycle import LiveSession, record_proof
from service.sessions.models import SignInMethod
from service.sign_in.attempt import SignInAttempt
from service.sign_in.outcome import record_refusal


@dataclass(frozen=True, slots=True)
class ProofOf:
    """The session whose user proves who it is, and where the request comes from."""

    session: LiveSession
    attempt: SignInAttempt
    dependencies: EmailLoginDependencies

    async def request(self) -> CodeRequest:
        """Have a code sent to the address of the session's user. Raises `SignInRefused`."""
        email = self.session.user.email
        if email is None:
            raise SignInRefused(SignInErrorCode.EMAIL_LOGIN_DISABLED)
        attempt = self.attempt
        return await request_email_code(email, attempt.client, self.dependencies, device=attempt.device)

    async def give(self, request_id: str, code: str) -> LiveSession:
        """Use up the code, and return the session with the new proof. Raises `SignInRefused`, also for another's code."""
        async with record_refusal(SignInMethod.EMAIL, self.attempt.client, self.dependencies.outcomes):
            email = await check_code(request_id, code, self.attempt, self.dependencies)
            async with transaction():
                if email != self.session.user.email or not await use_up(request_id):
                    raise SignInRefused(SignInErrorCode.INVALID_EMAIL_CODE)
                return await record_proof(self.session)
