"""Sign-in links that an admin makes for one user: what they do, what ends them, and who gets none."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from service.accounts import administration
from service.accounts.code_cutoffs import revoke_user_codes
from service.accounts.creation import create_user
from service.accounts.models import UserRole
from service.audit.models import AuditEvent
from service.clock import now, to_the_second
from service.errors import BadUserInput, Conflict, NotFound, RequestRefused
from service.external_auth import secrets
from service.external_auth.configuration import update_sign_in
from service.external_auth.policy import Provisioning
from service.external_auth.sign_in_links import LONGEST_LIFETIME, SignInLink, create_sign_in_link
from service.instance import Instance
from service.refusal_texts import SignInErrorCode
from service.sessions.models import SignInMethod
from tests.actions import HASHES, TESTER, admin, answer_to, enable, everything, member, set_policy, sign_in, user
from tests.site import parameters

POLICY = {
    "issuer": "crm",
    "audience": "doorcode",
    "require_expiry": True,
    "max_lifetime_seconds": 3_600,
    "single_use": True,
    "provisioning": Provisioning.EXISTING_ONLY,
    "groups_member": "groups",
}


async def link_for(instance: Instance, user_id: str = "crm-1", **how: Any) -> SignInLink:
    return await create_sign_in_link(user_id, TESTER, instance.cipher, "https://id.example.com", **how)


def code_in(link: SignInLink) -> str:
    assert link.url.startswith("https://id.example.com/?")
    return parameters(link.url)["externalAuthCode"]


async def ready(instance: Instance) -> None:
    await enable(instance)
    await create_user("crm-1", TESTER, HASHES, email="ada@example.com", metadata={"plan": "gold"})


async def test_link_signs_in_the_user_and_changes_nothing_else(instance: Instance) -> None:
    await ready(instance)
    before = await user("crm-1")
    result = await sign_in(instance, code_in(await link_for(instance)))
    assert (result.session.user.id, result.session.method) == ("crm-1", SignInMethod.EXTERNAL_JWT)
    after = await user("crm-1")
    assert (after.email, after.metadata, after.role) == (before.email, before.metadata, UserRole.MEMBER)


async def test_user_is_found_by_either_id_and_named_by_the_external_id(instance: Instance) -> None:
    await enable(instance)
    invited = await member("ada@example.com")
    await administration.update_user(invited.id, TESTER, external_id="crm-7")
    for user_id in (invited.id, "crm-7"):
        result = await sign_in(instance, code_in(await link_for(instance, user_id)))
        assert result.session.user.id == invited.id


async def test_strict_policy_admits_the_link_once(instance: Instance) -> None:
    await ready(instance)
    await set_policy(**POLICY)
    code = code_in(await link_for(instance, lifetime=3_600))
    assert await answer_to(instance, code) is None
    assert await answer_to(instance, code) == SignInErrorCode.CODE_ALREADY_USED


@pytest.mark.parametrize("lifetime", [300, LONGEST_LIFETIME])
async def test_link_works_until_its_end(instance: Instance, lifetime: int) -> None:
    await ready(instance)
    with time_machine.travel(now(), tick=False) as clock:
        link = await link_for(instance, lifetime=lifetime)
        assert link.expires_at == now().replace(microsecond=0) + timedelta(seconds=lifetime)
        clock.shift(lifetime - 1)
        assert await answer_to(instance, code_in(link)) is None
        clock.shift(61)  # the end, and the clock skew of the policy
        assert await answer_to(instance, code_in(link)) == SignInErrorCode.CODE_EXPIRED


@pytest.mark.parametrize("lifetime", [-1, 0, 299, LONGEST_LIFETIME + 1])
async def test_lifetime_out_of_range_is_refused(instance: Instance, lifetime: int) -> None:
    await ready(instance)
    with pytest.raises(BadUserInput, match="between 300 seconds"):
        await link_for(instance, lifetime=lifetime)


@pytest.mark.parametrize("of_all", [False, True], ids=["of the user", "of all"])
async def test_revoked_codes_end_the_link_and_a_new_one_works(instance: Instance, of_all: bool) -> None:
    await ready(instance)
    with time_machine.travel(now(), tick=False) as clock:
        link = await link_for(instance)
        clock.shift(1)
        await (secrets.revoke_all_codes(TESTER) if of_all else revoke_user_codes("crm-1", TESTER))
        assert await answer_to(instance, code_in(link)) == SignInErrorCode.CODE_EXPIRED
        assert await answer_to(instance, code_in(await link_for(instance))) is None


async def test_deleted_user_is_not_made_again(instance: Instance) -> None:
    await ready(instance)
    link = await link_for(instance)
    await administration.delete_user("crm-1", TESTER, HASHES)
    assert await answer_to(instance, code_in(link)) == SignInErrorCode.UNKNOWN_USER


async def test_event_says_who_made_it_for_whom_and_its_end(instance: Instance) -> None:
    await ready(instance)
    link = await link_for(instance)
    event = await AuditEvent.get(action="user.sign_in_link_made")
    assert (event.actor, event.user_id) == (TESTER.name, "crm-1")
    assert to_the_second(link.expires_at) in event.detail
    assert code_in(link).rpartition(".")[2] not in event.detail


async def _of_an_admin(_: Instance) -> str:
    return (await admin()).id


async def _of_no_external_id(_: Instance) -> str:
    return (await member("eve@example.com")).id


async def _of_a_deactivated_user(_: Instance) -> str:
    await administration.deactivate_user("crm-1", TESTER)
    return "crm-1"


async def _of_an_ended_access(_: Instance) -> str:
    await create_user("crm-2", TESTER, HASHES, access_until=now() - timedelta(seconds=1))
    return "crm-2"


async def _while_sign_in_is_off(_: Instance) -> str:
    await secrets.disable(TESTER)
    return "crm-1"


async def _without_a_secret(_: Instance) -> str:
    for secret in await secrets.list_secrets():
        await secrets.revoke(secret.id, TESTER)
    return "crm-1"


async def _beyond_the_policy(_: Instance) -> str:
    await set_policy(max_lifetime_seconds=3_599)
    return "crm-1"


async def _while_a_state_is_required(_: Instance) -> str:
    await update_sign_in({"require_state": True}, TESTER)
    return "crm-1"


async def _of_nobody(_: Instance) -> str:
    return "crm-404"


REFUSED = {
    "is an admin": _of_an_admin,
    "has no external ID": _of_no_external_id,
    "Reactivate the user first": _of_a_deactivated_user,
    "is deactivated": _of_an_ended_access,
    "JWT sign-in is off": _while_sign_in_is_off,
    "no current secret": _without_a_secret,
    "at most 3599 seconds": _beyond_the_policy,
    "`requireState` is set": _while_a_state_is_required,
    "no user with this id": _of_nobody,
}


@pytest.mark.parametrize("words", REFUSED)
async def test_link_that_sign_in_would_refuse_is_not_made(instance: Instance, words: str) -> None:
    await ready(instance)
    user_id = await REFUSED[words](instance)
    before = await everything()
    with pytest.raises(RequestRefused) as refused:
        await link_for(instance, user_id)
    assert isinstance(refused.value, Conflict | NotFound)
    assert words in refused.value.message
    assert await everything() == before
