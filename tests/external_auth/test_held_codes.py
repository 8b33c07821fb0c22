"""Codes that wait for a page to finish a link login: for a minute, under an ID that works once."""

import asyncio
from datetime import timedelta

import pytest
import time_machine

from service.clock import now
from service.external_auth.held_codes import HeldLink, hold, purge_held_codes, take
from service.external_auth.models import HeldCode

LINK = HeldLink("a.b.c", "/a?b=\u00eb&c", None)

pytestmark = pytest.mark.usefixtures("instance")


async def test_what_was_held_is_given_back_once() -> None:
    held_id = await hold(LINK)
    assert await take(held_id) == LINK
    assert await take(held_id) is None


async def test_one_of_many_requests_at_once_gets_it() -> None:
    held_id = await hold(LINK)
    taken = await asyncio.gather(*(take(held_id) for _ in range(8)))
    assert [link for link in taken if link is not None] == [LINK]


async def test_it_is_over_after_a_minute() -> None:
    held_id = await hold(LINK)
    with time_machine.travel(now() + timedelta(seconds=61), tick=False):
        assert await take(held_id) is None


async def test_purge_deletes_what_is_over_and_nothing_else() -> None:
    with time_machine.travel(now() - timedelta(seconds=61), tick=False):
        await hold(LINK)
    waiting = await hold(LINK)
    assert await purge_held_codes(10) == 1
    assert await take(waiting) == LINK


async def test_database_alone_gives_no_code_away() -> None:
    held_id = await hold(LINK)
    [row] = await HeldCode.all()
    assert LINK.code not in row.encrypted_link
    assert held_id not in row.id + row.encrypted_link
    assert "a.b.c" not in repr(LINK)
