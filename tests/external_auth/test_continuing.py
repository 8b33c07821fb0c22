"""When an exchange continues the session that its request carries, and when it opens another (contract §3)."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from service.accounts import administration
from service.external_auth import secrets
from service.instance import Instance
from service.sessions.lifecycle import end_session, find_session
from service.sessions.models import SignInMethod, TokenTransport
from service.sign_in.attempt import SignInResult
from tests.actions import TESTER, answer_to, code_of, count, enable, member, open_for, rows, set_policy, sign_in, user

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
HALF_LIFE = timedelta(days=3.5)
ADA = {"user": {"id": "ada", "email": "ada@example.com"}}


async def both(
    instance: Instance, code: str, again: str | None = None, **how: object
) -> tuple[SignInResult, SignInResult]:
    """Two exchanges, the second by a request that carries the first one's session."""
    token_transport = how.get("token_transport", TokenTransport.BEARER)
    assert isinstance(token_transport, TokenTransport)
    first = await sign_in(instance, code, token_transport=token_transport)
    return first, await sign_in(instance, again or code, session_token=first.token, token_transport=token_transport)


@pytest.mark.parametrize("token_transport", [TokenTransport.BEARER, TokenTransport.COOKIE])
async def test_same_user_s_session_is_continued_with_the_same_token_and_no_new_row(
    instance: Instance, token_transport: TokenTransport
) -> None:
    secret = await enable(instance)
    first, second = await both(instance, code_of(secret, ADA), token_transport=token_transport)
    assert (second.token, second.session.id, second.continued, second.new_user) == (
        first.token,
        first.session.id,
        True,
        False,
    )
    assert await count("sessions") == 1


@pytest.mark.parametrize("claims", [{"id": "ada"}, {"email": "ada@example.com"}, {"user": {"id": "ada"}}])
async def test_any_payload_that_means_the_same_user_continues(instance: Instance, claims: dict[str, object]) -> None:
    secret = await enable(instance)
    first, second = await both(instance, code_of(secret, ADA), code_of(secret, claims))
    assert second.token == first.token
    assert await count("sessions") == 1


async def test_end_is_fixed_when_the_session_opens_and_continuing_does_not_move_it(instance: Instance) -> None:
    secret = await enable(instance)
    with time_machine.travel(NOON, tick=False) as clock:
        first = await sign_in(instance, code_of(secret, ADA))
        clock.shift(86_400)
        second = await sign_in(instance, code_of(secret, ADA), session_token=first.token)
        assert second.session.expires_at == NOON + timedelta(days=7)
        found = await find_session(first.token)
        assert found
        assert found.expires_at == NOON + timedelta(days=7)


async def test_half_a_life_or_more_to_go_continues_and_less_does_not(instance: Instance) -> None:
    secret = await enable(instance)
    with time_machine.travel(NOON, tick=False) as clock:
        first = await sign_in(instance, code_of(secret, ADA))
        clock.move_to(NOON + HALF_LIFE)
        assert (await sign_in(instance, code_of(secret, ADA), session_token=first.token)).token == first.token
        clock.move_to(NOON + HALF_LIFE + timedelta(microseconds=1))
        later = await sign_in(instance, code_of(secret, ADA), session_token=first.token)
        assert later.token != first.token
        assert later.session.expires_at == NOON + HALF_LIFE + timedelta(days=7, microseconds=1)
        assert await find_session(first.token), "the one before is left to its end"


async def test_shorter_life_has_a_shorter_half(instance: Instance) -> None:
    secret = await enable(instance)
    with time_machine.travel(NOON, tick=False) as clock:
        first = await sign_in(instance, code_of(secret, ADA), lifetime=100)
        clock.shift(50)
        second = await sign_in(instance, code_of(secret, ADA), session_token=first.token, lifetime=100)
        assert second.token == first.token
        clock.shift(1)
        third = await sign_in(instance, code_of(secret, ADA), session_token=first.token, lifetime=100)
        assert third.token != first.token


async def test_session_that_would_outlast_the_shorter_one_asked_for_is_not_continued(instance: Instance) -> None:
    secret = await enable(instance)
    with time_machine.travel(NOON, tick=False):
        first = await sign_in(instance, code_of(secret, ADA))
        second = await sign_in(instance, code_of(secret, ADA), session_token=first.token, lifetime=60)
        assert second.session.expires_at == NOON + timedelta(seconds=60)
        assert second.token != first.token


async def test_session_that_would_outlast_the_code_is_not_continued_where_it_may_not(instance: Instance) -> None:
    secret = await enable(instance)
    with time_machine.travel(NOON, tick=False):
        first = await sign_in(instance, code_of(secret, ADA))
        await set_policy(session_ends_with_code=True)
        code = code_of(secret, {**ADA, "exp": int(NOON.timestamp()) + 60})
        second = await sign_in(instance, code, session_token=first.token)
        assert second.token != first.token
        assert second.session.expires_at == NOON + timedelta(seconds=60)
        assert (await sign_in(instance, code, session_token=second.token)).token == second.token


async def test_another_user_s_session_is_not_continued_and_goes_on(instance: Instance) -> None:
    secret = await enable(instance)
    first, second = await both(instance, code_of(secret, ADA), code_of(secret, {"user": {"id": "bob"}}))
    assert second.token != first.token
    for token, owner in ((first.token, "ada"), (second.token, "bob")):
        found = await find_session(token)
        assert found
        assert found.user.id == owner


@pytest.mark.parametrize(
    ("had", "comes"),
    [
        (TokenTransport.COOKIE, TokenTransport.BEARER),
        (TokenTransport.BEARER, TokenTransport.COOKIE),
        (TokenTransport.ADMIN_COOKIE, TokenTransport.COOKIE),
        (TokenTransport.ADMIN_COOKIE, TokenTransport.BEARER),
    ],
)
async def test_only_what_came_the_same_way_is_continued(
    instance: Instance, had: TokenTransport, comes: TokenTransport
) -> None:
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, ADA))
    mine = await open_for(await user("ada"), SignInMethod.EXTERNAL_JWT, had)
    result = await sign_in(instance, code_of(secret, ADA), session_token=mine.token, token_transport=comes)
    assert result.token != mine.token
    assert result.session.token_transport is comes


async def test_session_opened_by_email_is_not_continued(instance: Instance) -> None:
    secret = await enable(instance)
    invited = await member("grace@example.com")
    for token_transport in (TokenTransport.BEARER, TokenTransport.COOKIE):
        mine = await open_for(invited, SignInMethod.EMAIL, token_transport)
        result = await sign_in(
            instance, code_of(secret, {"id": invited.id}), session_token=mine.token, token_transport=token_transport
        )
        assert result.token != mine.token


async def test_dead_session_is_not_continued(instance: Instance) -> None:
    secret = await enable(instance)
    ended = await sign_in(instance, code_of(secret, ADA))
    await end_session(ended.session.id)
    of_revoked = await sign_in(instance, code_of(secret, ADA))
    new = (await secrets.rotate(instance.cipher, TESTER)).text
    old_secret = of_revoked.session.secret_id
    assert old_secret
    await secrets.revoke(old_secret, TESTER)
    for token in (ended.token, of_revoked.token, "dcs_" + "x" * 43, "nonsense"):
        result = await sign_in(instance, code_of(new, ADA), session_token=token)
        assert result.token != token
        assert await find_session(result.token)


async def test_session_of_another_secret_of_the_same_user_is_continued(instance: Instance) -> None:
    old = await enable(instance)
    new = (await secrets.rotate(instance.cipher, TESTER)).text
    first, second = await both(instance, code_of(old, ADA), code_of(new, ADA))
    assert second.token == first.token


async def test_refused_code_ends_nothing(instance: Instance) -> None:
    secret = await enable(instance)
    mine = await sign_in(instance, code_of(secret, ADA))
    before = await rows("sessions")
    assert await answer_to(instance, code_of(secret, {"id": "nobody"}), session_token=mine.token) == "UNKNOWN_USER"
    assert await rows("sessions") == before
    assert await find_session(mine.token)


async def test_continued_session_shows_the_profile_that_the_code_has_just_changed(instance: Instance) -> None:
    secret = await enable(instance)
    changed = code_of(secret, {"user": {"id": "ada", "email": "new@example.com", "plan": "gold"}})
    first, second = await both(instance, code_of(secret, ADA), changed)
    assert second.token == first.token
    assert second.session.user.email == "new@example.com"
    assert second.session.user.metadata == '{"plan":"gold"}'
    assert (await user("ada")).email == "new@example.com"


async def test_single_use_code_continues_too_and_is_used_up(instance: Instance) -> None:
    secret = await enable(instance)
    first = await sign_in(instance, code_of(secret, ADA))
    await set_policy(single_use=True)
    code = code_of(secret, {**ADA, "exp": int(datetime.now(UTC).timestamp()) + 60, "jti": "1"})
    second = await sign_in(instance, code, session_token=first.token)
    assert second.token == first.token
    assert await count("used_codes") == 1
    assert await count("sessions") == 1


async def test_linked_user_s_own_session_is_continued(instance: Instance) -> None:
    """By its external id, whatever its own id is."""
    secret = await enable(instance)
    await sign_in(instance, code_of(secret, ADA))
    await administration.update_user("ada", TESTER, external_id="crm-1")
    first, second = await both(
        instance, code_of(secret, {"user": {"id": "crm-1"}}), code_of(secret, {"user": {"id": "ada"}})
    )
    assert second.token == first.token
