"""Batches: what is asked in one turn is one call, and each who asks gets its own result or its own error."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from service.database.batches import IN_FLIGHT, MAX_BATCH, Batches


class Squares:
    """Work that notes its batches, and waits until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.running = self.most = 0
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, numbers: Sequence[int], is_wanted: Callable[[int], bool]) -> list[int]:
        self.batches.append(list(numbers))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.go.wait()
            if any(number == 0 for number in numbers):
                raise ValueError("zero")
            if any(number < 0 for number in numbers):
                raise ConnectionRefusedError("down")
            return [number * number for number in numbers]
        finally:
            self.running -= 1


async def test_what_is_asked_in_one_turn_is_one_batch() -> None:
    work = Squares()
    batches = Batches(work)
    assert await asyncio.gather(*(batches.ask(number) for number in (3, 4, 5))) == [9, 16, 25]
    assert await batches.ask(6) == 36
    assert work.batches == [[3, 4, 5], [6]]


async def test_two_batches_run_at_most_and_what_comes_meanwhile_shares_the_next() -> None:
    work = Squares()
    work.go.clear()
    batches = Batches(work)
    asking = []
    for number in range(1, 10):
        asking.append(asyncio.ensure_future(batches.ask(number)))
        for _ in range(3):
            await asyncio.sleep(0)
    work.go.set()
    assert await asyncio.gather(*asking) == [number * number for number in range(1, 10)]
    assert work.batches == [[1], [2], [3, 4, 5, 6, 7, 8, 9]]
    assert work.most == IN_FLIGHT


async def test_a_batch_is_bounded() -> None:
    work = Squares()
    batches = Batches(work)
    numbers = range(1, 3 * MAX_BATCH)
    assert await asyncio.gather(*map(batches.ask, numbers)) == [number * number for number in numbers]
    assert max(map(len, work.batches)) == MAX_BATCH


async def test_an_item_that_fails_the_batch_fails_only_itself() -> None:
    work = Squares()
    batches = Batches(work)
    results = await asyncio.gather(*(batches.ask(number) for number in (1, 0, 2)), return_exceptions=True)
    assert results[0::2] == [1, 4]
    assert isinstance(results[1], ValueError)
    assert sorted(map(len, work.batches)) == [1, 1, 1, 3]


async def test_an_outage_fails_all_at_once_each_with_an_error_of_its_own() -> None:
    work = Squares()
    batches = Batches(work)
    results = await asyncio.gather(*(batches.ask(number) for number in (1, -1, 2)), return_exceptions=True)
    assert [type(result) for result in results] == [ConnectionRefusedError] * 3
    assert len({id(result) for result in results}) == 3
    assert len(work.batches) == 1
    assert await batches.ask(2) == 4


@pytest.mark.parametrize("steps", range(5))
async def test_one_who_is_cancelled_leaves_the_others_alone(steps: int) -> None:
    work = Squares()
    batches = Batches(work)
    asking = [asyncio.ensure_future(batches.ask(number)) for number in (1, 2, 0, 3)]
    for _ in range(steps):
        await asyncio.sleep(0)
    asking[1].cancel()
    asking[2].cancel()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert [results[0], results[3]] == [1, 9]
    assert list(await asyncio.gather(batches.ask(4), batches.ask(5))) == [16, 25]


async def test_all_who_are_cancelled_leave_nothing_behind() -> None:
    work = Squares()
    batches = Batches(work)
    asking = [asyncio.ensure_future(batches.ask(number)) for number in (1, 2)]
    await asyncio.sleep(0)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert await batches.ask(3) == 9
    assert work.batches == [[3]]
