"""Domains of addresses that may sign up by email (contract §3)."""

import pytest

from service.email_login.configuration import read_configuration, update_configuration
from service.email_login.domains import is_in_domains, parse_domains
from service.email_login.login import should_send
from service.email_login.mail_queue import MailKind, QueuedMail
from service.email_login.models import SignUpMode
from service.errors import BadUserInput
from service.instance import Instance
from tests.actions import TESTER, member


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["Example.COM", " example.com ", "*.Example.com"], ("example.com", "*.example.com")),
        (["münchen.test", "*.bücher.example"], ("xn--mnchen-3ya.test", "*.xn--bcher-kva.example")),
        ([], ()),
    ],
)
def test_domains_are_kept_in_a_form_once(given: list[str], kept: tuple[str, ...]) -> None:
    assert parse_domains(given) == kept
    assert parse_domains(kept) == kept


@pytest.mark.parametrize(
    "text",
    ["", "*", "*.", "localhost", "*.com*", "a@example.com", "exa mple.com", "https://example.com", "-.example.com"],
)
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(BadUserInput):
        parse_domains(["example.com", text])


@pytest.mark.parametrize(
    ("email", "domains", "admitted"),
    [
        ("a@example.com", ["example.com"], True),
        ("a@sub.example.com", ["example.com"], False),
        ("a@sub.example.com", ["*.example.com"], True),
        ("a@b.sub.example.com", ["*.example.com"], True),
        ("a@example.com", ["*.example.com"], False),
        ("a@notexample.com", ["*.example.com", "example.com"], False),
        ("a@example.com.evil.test", ["example.com", "*.example.com"], False),
        ("example.com@evil.test", ["example.com"], False),
        ("a@xn--mnchen-3ya.test", ["xn--mnchen-3ya.test"], True),
        ("a@anything.test", [], True),
    ],
)
def test_domain_of_an_address_is_compared_as_a_whole(email: str, domains: list[str], admitted: bool) -> None:
    assert is_in_domains(email, domains) is admitted


async def test_sign_up_is_admitted_from_these_domains_only_and_users_are_not_affected(instance: Instance) -> None:
    async def gets_a_code(email: str) -> bool:
        return await should_send(QueuedMail(MailKind.CODE, email, "123456"))

    await member("ada@elsewhere.test")
    await update_configuration(TESTER, sign_up=SignUpMode.OPEN, allowed_domains=["example.com"])
    assert await gets_a_code("new@example.com")
    assert not await gets_a_code("new@elsewhere.test")
    assert await gets_a_code("ada@elsewhere.test")
    await update_configuration(TESTER, sign_up=SignUpMode.INVITATION)
    assert not await gets_a_code("new@example.com")
    await update_configuration(TESTER, sign_up=SignUpMode.OPEN, allowed_domains=[])
    assert await gets_a_code("new@elsewhere.test")


async def test_bad_domain_changes_nothing(instance: Instance) -> None:
    before = await read_configuration()
    with pytest.raises(BadUserInput):
        await update_configuration(TESTER, sign_up=SignUpMode.OPEN, allowed_domains=["no domain"])
    assert await read_configuration() == before
