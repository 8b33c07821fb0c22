"""A user that is made from a row is what Tortoise makes from it."""

from datetime import UTC, datetime

import pytest

from service.accounts.lookup import find_by_email, find_by_id_claim
from service.accounts.models import User, UserOrigin, UserRole, UserStatus
from service.database import transaction

MOMENT = datetime(2030, 1, 31, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.mark.parametrize("last_seen_at", [None, MOMENT])
@pytest.mark.usefixtures("instance")
async def test_user_from_row_is_as_tortoise_makes_it(last_seen_at: datetime | None) -> None:
    async with transaction():
        await User.create(
            id="usr_1",
            external_id="crm-1" if last_seen_at else None,
            email="ada@example.com",
            metadata='{"a": 1}',
            origin=UserOrigin.INVITATION,
            role=UserRole.ADMIN,
            status=UserStatus.DEACTIVATED,
            session_epoch=3,
            search_text="\nusr_1",
            created_at=MOMENT,
            last_seen_at=last_seen_at,
        )
    found = await find_by_email("ada@example.com")
    assert found is not None
    assert vars(found) == vars(await User.get(id="usr_1"))


@pytest.mark.usefixtures("instance")
async def test_external_id_wins_over_the_id_of_another() -> None:
    async with transaction():
        for user_id, external_id in (("x", None), ("y", "x"), ("z", "z")):
            await User.create(id=user_id, external_id=external_id, origin=UserOrigin.EXTERNAL_JWT, created_at=MOMENT)
    for claim, user_id in (("x", "y"), ("y", "y"), ("z", "z")):
        found = await find_by_id_claim(claim)
        assert found is not None
        assert found.id == user_id
    assert await find_by_id_claim("nobody") is None
