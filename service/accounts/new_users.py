"""Inserts new users, each on a seat."""

from service.accounts.models import User
from service.accounts.seats import take_seat
from service.audit.actions import Action
from service.audit.log import Actor, record
from service.errors import SeatLimitReached, SignInRefused
from service.refusal_texts import SignInErrorCode


async def sign_up(user: User, by: Actor) -> None:
    """Insert a user who signs in for the first time, as `add_user` does. Raises `SignInRefused` where no seat is free."""
    try:
        await add_user(user, Action.USER_CREATED, by)
    except SeatLimitReached:
        raise SignInRefused(SignInErrorCode.SEAT_LIMIT_REACHED) from None


async def add_user(user: User, action: Action, by: Actor) -> None:
    """Insert an active user, on a seat, in the caller's transaction. Raises `SeatLimitReached`.

    The caller holds the seat lock, and has looked for the user's identifiers under it.
    """
    await take_seat(user.origin)
    user.set_identifiers(email=user.shown_email, email_verified=user.email_verified, external_id=user.external_id)
    await user.save(force_create=True)
    await record(action, by, user_id=user.id, detail={"origin": user.origin})
