"""Cut-offs, the end of an access and imports, each against sign-ins through several processes, on both databases."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.accounts import administration
from service.accounts.access import end_lapsed_accesses
from service.accounts.code_cutoffs import revoke_user_codes
from service.accounts.creation import create_user
from service.accounts.importing import import_users
from service.accounts.seats import count_seats, set_seat_limit
from service.errors import SeatLimitReached
from service.instance import Instance
from service.sessions.lifecycle import count_live_sessions
from tests.actions import TESTER, answer_to, code_of, count, enable, sign_in, user
from tests.concurrency.other_process import OtherProcess
from tests.concurrency.test_at_once import served, through_all
from tests.processes import Server
from tests.seats import assert_counters_equal_table

__all__ = ["served"]


async def test_no_session_of_a_revoked_code_outlives_the_cut_off(
    served: Server, environ: dict[str, str], instance: Instance, tmp_path: Path
) -> None:
    secret = await enable(instance)
    old = code_of(secret, {"user": {"id": "ada"}, "iat": int(time.time()) - 60})
    await sign_in(instance, old)
    with OtherProcess(environ, tmp_path) as other:
        answers, _ = await asyncio.gather(
            through_all(served, other, [old] * 24, [old] * 24), revoke_user_codes("ada", TESTER)
        )
        assert set(answers) <= {"known", "CODE_EXPIRED"}
        assert await count_live_sessions(await user("ada")) == 0
        assert await through_all(served, other, [old] * 8, [old] * 8) == {"CODE_EXPIRED": 16}
        fresh = code_of(secret, {"user": {"id": "ada"}, "iat": int(time.time())})
        assert await through_all(served, other, [fresh] * 8, [fresh] * 8) == {"known": 16}


async def test_old_codes_do_not_make_a_user_again_who_is_being_deleted(
    served: Server, environ: dict[str, str], instance: Instance, tmp_path: Path
) -> None:
    secret = await enable(instance)
    old = code_of(secret, {"user": {"id": "ada"}, "iat": int(time.time()) - 60})
    await sign_in(instance, old)
    with OtherProcess(environ, tmp_path) as other:
        answers, _ = await asyncio.gather(
            through_all(served, other, [old] * 24, [old] * 24),
            administration.delete_user("ada", TESTER, instance.subject_hashes, revoke_codes=True),
        )
    assert set(answers) <= {"known", "CODE_EXPIRED"}
    assert await count("users") == 0
    await assert_counters_equal_table()


async def test_seat_of_an_access_that_ends_is_taken_once(
    served: Server, environ: dict[str, str], instance: Instance, tmp_path: Path
) -> None:
    secret = await enable(instance)
    await set_seat_limit(1, TESTER)
    until = datetime.now(UTC) + timedelta(milliseconds=200)
    await create_user("trial", TESTER, instance.subject_hashes, access_until=until)
    codes = [code_of(secret, {"user": {"id": f"new-{number}"}}) for number in range(48)]

    async def follow() -> None:
        while not await end_lapsed_accesses(500):
            pass

    with OtherProcess(environ, tmp_path) as other:
        answers, _ = await asyncio.gather(through_all(served, other, codes[:24], codes[24:]), follow())
    assert answers["new"] <= 1
    last = await answer_to(instance, code_of(secret, {"user": {"id": "last"}}))
    assert (last is None) is (answers["new"] == 0)
    assert (await count_seats()).used == 1
    assert await answer_to(instance, code_of(secret, {"user": {"id": "trial"}})) == "USER_DEACTIVATED"
    await assert_counters_equal_table()


async def test_import_and_newcomers_share_the_last_seats(
    served: Server, environ: dict[str, str], instance: Instance, tmp_path: Path
) -> None:
    secret = await enable(instance)
    await set_seat_limit(12, TESTER)
    file = tmp_path / "users.csv"
    file.write_text("external_id\n" + "".join(f"crm-{number}\n" for number in range(8)))
    codes = [code_of(secret, {"user": {"id": f"new-{number}"}}) for number in range(40)]

    async def bring_in() -> int:
        try:
            return (await import_users(file, TESTER, instance.subject_hashes, lambda *_: None)).created
        except SeatLimitReached:
            return 0

    with OtherProcess(environ, tmp_path) as other:
        answers, created = await asyncio.gather(through_all(served, other, codes[:20], codes[20:]), bring_in())
    assert created in (0, 8)
    assert answers == {"new": 12 - created, "SEAT_LIMIT_REACHED": 28 + created}
    assert (await count_seats()).used == 12
    await assert_counters_equal_table()
