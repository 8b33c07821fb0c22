"""Asks an admin for an email code before a critical change, and then goes on with the form that was sent (contract §3).

What needs the proof decides `service.authority`. The page that asks carries every field of the form, so nothing that was
typed is lost.
"""

from collections.abc import Sequence
from dataclasses import replace

from starlette.datastructures import FormData
from starlette.responses import Response

from service.credentials import client_of, device_token
from service.email_login.proof import ProofOf
from service.errors import FreshProofNeeded, SignInRefused
from service.sessions.models import TokenTransport
from service.sign_in.attempt import SignInAttempt
from service.web.admin.operations import OperationRefused
from service.web.admin.page import AdminPage, FormHandler, Handler, text_of

_REQUEST, _CODE, _ANOTHER = "proofRequest", "proofCode", "proofAnother"
_OWN_FIELDS = {_REQUEST, _CODE, _ANOTHER, "formId"}


def with_proof(handler: FormHandler) -> FormHandler:
    """Return a handler that takes the code of a form that carries one, and asks for a code if the change needs it."""

    async def handle(admin_page: AdminPage, form: FormData) -> Response:
        fields = [(name, value) for name, value in form.multi_items() if name not in _OWN_FIELDS]
        request_id = text_of(form, _REQUEST)
        if request_id and not text_of(form, _ANOTHER):
            try:
                session = await _proof_of(admin_page).give(request_id, text_of(form, _CODE))
            except SignInRefused as refusal:
                return _show(admin_page, fields, request_id, refusal)
            admin_page = replace(admin_page, caller=replace(admin_page.caller, session=session))
        try:
            return await handler(admin_page, form)
        except (FreshProofNeeded, OperationRefused) as refused:
            if isinstance(refused, OperationRefused) and not refused.needs_proof:
                raise
            return await _ask(admin_page, fields)

    return handle


def shown_with_proof(handler: Handler) -> Handler:
    """Return the handler of a page that asks for a code first, if the page needs it. The answer is sent by POST."""

    async def handle(admin_page: AdminPage) -> Response:
        try:
            return await handler(admin_page)
        except FreshProofNeeded:
            return await _ask(admin_page, [])

    return handle


async def _ask(admin_page: AdminPage, fields: Sequence[tuple[str, object]]) -> Response:
    try:
        asked = await _proof_of(admin_page).request()
    except SignInRefused as refusal:
        return _show(admin_page, fields, "", refusal)
    return _show(admin_page, fields, asked.id, None)


def _show(
    admin_page: AdminPage, fields: Sequence[tuple[str, object]], request_id: str, refusal: SignInRefused | None
) -> Response:
    url = admin_page.request.url
    return admin_page.show(
        "proof.html",
        status=403,
        problem=refusal.message if refusal else None,
        action=f"{url.path}?{url.query}" if url.query else url.path,
        fields=fields,
        request_id=request_id,
    )


def _proof_of(admin_page: AdminPage) -> ProofOf:
    request, session = admin_page.request, admin_page.caller.session
    assert session is not None, "only an admin in person sees a page of the panel"
    device = device_token(request, admin_page.settings)
    attempt = SignInAttempt(client_of(request), TokenTransport.ADMIN_COOKIE, device=device)
    return ProofOf(session, attempt, admin_page.instance.email_login)
