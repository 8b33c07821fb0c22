"""Names and notes of signing secrets: shown wherever a secret is, and recorded."""

import pytest

from service.audit.listing import detail_of
from service.audit.models import AuditEvent
from service.errors import BadUserInput, NotFound
from service.external_auth.inspection import inspect
from service.external_auth.secret_names import describe_secret_as
from service.external_auth.secrets import list_secrets
from service.instance import Instance
from tests.actions import TESTER, code_of, enable


async def test_name_and_note_are_kept_and_recorded_with_the_old_ones(instance: Instance) -> None:
    await enable(instance)
    [secret] = await list_secrets()
    await describe_secret_as(secret.id, {"name": " CRM ", "note": "vault: crm/doorcode\nasks: Ada"}, TESTER)
    await describe_secret_as(secret.id, {"name": "CRM, production"}, TESTER)
    await describe_secret_as(secret.id, {"name": "CRM, production"}, TESTER)

    [secret] = await list_secrets()
    assert (secret.name, secret.note) == ("CRM, production", "vault: crm/doorcode\nasks: Ada")
    events = await AuditEvent.filter(action="jwt.secret_described").order_by("created_at", "id")
    assert [(event.secret_id, detail_of(event)) for event in events] == [
        (secret.id, {"changes": {"name": {"from": "", "to": "CRM"}, "note": {"from": "", "to": secret.note}}}),
        (secret.id, {"changes": {"name": {"from": "CRM", "to": "CRM, production"}}}),
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": "x" * 101}, "`name` must have at most 100"),
        ({"note": "x" * 501}, "`note`"),
        ({"name": "a\0b"}, "`name`"),
    ],
)
async def test_text_that_cannot_be_kept_is_refused(instance: Instance, changes: dict[str, str], problem: str) -> None:
    await enable(instance)
    [secret] = await list_secrets()
    with pytest.raises(BadUserInput, match=problem):
        await describe_secret_as(secret.id, changes, TESTER)
    with pytest.raises(NotFound):
        await describe_secret_as("jws_01234567-89ab-cdef-0123-456789abcdef", {"name": "x"}, TESTER)


async def test_inspection_names_the_secret(instance: Instance) -> None:
    text = await enable(instance)
    [secret] = await list_secrets()
    await describe_secret_as(secret.id, {"name": "CRM"}, TESTER)
    found = await inspect(code_of(text, {"user": {"id": "ada"}}), instance.external_auth)

    signature = next(check for check in found.checks if check.name == "signature")
    assert f"CRM, {secret.id} ({secret.hint}…)" in signature.detail
