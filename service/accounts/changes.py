"""The audit events of changes of a user's profile: old and new values, and of the metadata only the names of members."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from service.accounts.metadata import changed_members
from service.accounts.models import User
from service.audit.actions import Action
from service.audit.folding import record_hourly
from service.audit.log import Actor, changes_of, record
from service.clock import to_the_second


@dataclass(frozen=True, slots=True)
class Profile:
    """The profile of a user at one moment."""

    email: str | None
    email_verified: bool
    external_id: str | None
    metadata: str
    access_until: datetime | None

    @classmethod
    def of(cls, user: User) -> Self:
        """Return the profile as it is now."""
        return cls(user.shown_email, user.email_verified, user.external_id, user.metadata, user.access_until)

    def changes(self, later: Self) -> dict[str, dict[str, object]]:
        """Return what differs later, except the metadata."""
        return changes_of(self._told(), later._told())

    def _told(self) -> dict[str, object]:
        return {
            "email": self.email,
            "emailVerified": self.email_verified,
            "externalId": self.external_id,
            "accessUntil": to_the_second(self.access_until) if self.access_until else None,
        }

    def names_of_members(self, later: Self) -> dict[str, object]:
        """Return the names of the metadata's members that differ later, as a member of the detail of an event."""
        names = changed_members(self.metadata, later.metadata)
        return {"metadataMembers": names} if names else {}


async def record_update(user: User, before: Profile, by: Actor) -> None:
    """Record what has changed since `before`, in the transaction that changes it.

    A change of nothing but metadata is folded by the hour, because it may come with every page load.
    """
    after = Profile.of(user)
    changes, members = before.changes(after), before.names_of_members(after)
    changed = [name for name in changes if name != "emailVerified" or "email" not in changes]
    if before.metadata != after.metadata:
        changed.append("metadata")
    if changes:
        detail = {"changed": changed, "changes": changes} | members
        await record(Action.USER_UPDATED, by, user_id=user.id, detail=detail)
    elif changed:
        await record_hourly(
            Action.USER_UPDATED,
            by,
            person=user.id,
            reason=str(members),
            user_id=user.id,
            detail={"changed": changed} | members,
        )


async def record_link(user: User, before: Profile, by: Actor) -> None:
    """Record that a code has given the user its external ID, in the transaction that does so."""
    after = Profile.of(user)
    detail = {"externalId": user.external_id, "changes": before.changes(after)} | before.names_of_members(after)
    await record(Action.USER_LINKED, by, user_id=user.id, detail=detail)
