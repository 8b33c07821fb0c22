"""The tables of users, of the seat limit with its counters, and of seat usage per day."""

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from service.accounts.identifiers import with_unicode_domain
from service.accounts.metadata import EMPTY, display_name
from service.clock import now

IDENTIFIER_COLUMNS = ("email", "claimed_email", "external_id", "search_text")


class UserOrigin(StrEnum):
    """How a user was created."""

    EMAIL = "EMAIL"
    INVITATION = "INVITATION"
    EXTERNAL_JWT = "EXTERNAL_JWT"


class UserRole(StrEnum):
    """What a user may do. An ADMIN who signed in by email administers the service."""

    MEMBER = "MEMBER"
    ADMIN = "ADMIN"


class UserStatus(StrEnum):
    """ACTIVE users take a seat. DEACTIVATED users take no seat and cannot sign in."""

    ACTIVE = "ACTIVE"
    DEACTIVATED = "DEACTIVATED"


class GroupSource(StrEnum):
    """What put a user into a group: a CODE, or an ADMIN or a program with an API key."""

    CODE = "CODE"
    ADMIN = "ADMIN"


class User(Model):
    """A person with a place here."""

    serial = fields.BigIntField(
        primary_key=True, description="never used twice, so a session outlives no user whose id is made anew"
    )
    id = fields.CharField(max_length=255, unique=True)
    external_id = fields.CharField(max_length=255, unique=True, null=True)
    email = fields.CharField(  # verified
        max_length=320, unique=True, null=True, description="normalised, so that two users never share one"
    )
    claimed_email = fields.CharField(max_length=320, null=True)  # a code only claimed it; null if `email` is set
    metadata = fields.TextField(default=EMPTY, description="JSON text: jsonb would refuse a NUL, which JSON allows")
    origin = fields.CharEnumField(UserOrigin, max_length=16)
    role = fields.CharEnumField(UserRole, max_length=16, default=UserRole.MEMBER)
    status = fields.CharEnumField(UserStatus, max_length=16, default=UserStatus.ACTIVE)
    session_epoch = fields.IntField(
        default=0, description="raised to end every session that was opened under the one before"
    )
    email_epoch = fields.IntField(
        default=0, db_default=0
    )  # raised to end the sessions that were opened by email before
    code_epoch = fields.IntField(default=0, db_default=0)  # raised to end the sessions that codes opened before
    codes_valid_from = fields.DatetimeField(null=True)  # a code issued before is refused; to the second
    # From this time on the user is treated as DEACTIVATED. `status` and the seat counters follow within a minute.
    access_until = fields.DatetimeField(null=True)
    access_ended = fields.BooleanField(default=False, db_default=False)  # whether `access_until` made it DEACTIVATED
    search_text = fields.TextField(
        default="", description="id, external id and email, each on a line of its own, in lower case"
    )
    # JSON arrays of names in order. Without descriptions: SQLite cannot add a column with both a comment and a default.
    code_groups = fields.TextField(default="[]", db_default="[]")
    admin_groups = fields.TextField(default="[]", db_default="[]")
    created_at = fields.DatetimeField()
    last_seen_at = fields.DatetimeField(null=True, description="to the hour")

    @property
    def current_status(self) -> UserStatus:
        """The status at this moment: DEACTIVATED once `access_until` has passed, also if `status` does not say so yet."""
        ended = self.access_until is not None and self.access_until <= now()
        return UserStatus.DEACTIVATED if ended else self.status

    @property
    def shown_email(self) -> str | None:
        """The email of the user, whether it is verified or a code only claimed it (contract §1). None if there is none."""
        return self.claimed_email or self.email

    @property
    def email_verified(self) -> bool:
        """Whether the shown email is verified, not only claimed by a code. False if there is no email."""
        return self.email is not None

    def set_identifiers(self, *, email: str | None, email_verified: bool, external_id: str | None) -> None:
        """Set them, and the search text that is made of them, the ID and the display name. The caller saves `IDENTIFIER_COLUMNS`."""
        self.external_id = external_id
        self.email, self.claimed_email = (email, None) if email_verified else (None, email)
        self._renew_search_text()

    def set_metadata(self, text: str) -> None:
        """Set the stored metadata, and the search text, which has the display name. The caller saves both."""
        self.metadata = text
        self._renew_search_text()

    def _renew_search_text(self) -> None:
        email = self.shown_email
        # Case is folded here, because SQLite's own folding knows ASCII only.
        texts = (self.id, self.external_id, email, email and with_unicode_domain(email), display_name(self.metadata))
        self.search_text = "\n" + "\n".join([text.casefold() for text in dict.fromkeys(texts) if text])

    class Meta:
        table = "users"
        indexes = (("created_at", "id"), ("last_seen_at", "id"))


# Only describes the table for migrations: its rows are read and written by SQL.
class UserGroup(Model):
    """A group that has members, and how many of them are active, counted in the transaction that changes it."""

    name = fields.CharField(max_length=128, primary_key=True)
    member_count = fields.BigIntField(default=0)

    class Meta:
        table = "user_groups"


# Only describes the table for migrations: its rows are read and written by SQL.
class GroupMember(Model):
    """A user in a group, whatever put the user there."""

    id = fields.BigIntField(primary_key=True)
    name = fields.CharField(max_length=128)
    user_serial = fields.BigIntField(db_index=True)

    class Meta:
        table = "group_members"
        unique_together = (("name", "user_serial"),)


# Only describes the table for migrations: its rows are read and written by SQL.
class Seats(Model):
    """One row: the limit, and how many users of each origin and status there are. Locking it is taking a number in the queue."""

    id = fields.IntField(primary_key=True, generated=False)
    seat_limit = fields.IntField(null=True, description="null: no limit")
    active_email = fields.BigIntField(default=0)
    active_invitation = fields.BigIntField(default=0)
    active_external_jwt = fields.BigIntField(default=0)
    deactivated_email = fields.BigIntField(default=0)
    deactivated_invitation = fields.BigIntField(default=0)
    deactivated_external_jwt = fields.BigIntField(default=0)

    class Meta:
        table = "seats"


class SeatSample(Model):
    """How many seats were used, and the limit, at the end of a day (UTC) on which either changed."""

    day = fields.DateField(primary_key=True)
    used = fields.BigIntField()
    seat_limit = fields.IntField(null=True)

    class Meta:
        table = "seat_samples"


# Only describes the table for migrations: its rows are read and written by SQL.
class CodeCutoff(Model):
    """Since when codes of an ID are accepted that belongs to no user any more. Kept until no such code can matter."""

    subject_hash = fields.CharField(max_length=64, primary_key=True, description="keyed hash of the external ID")
    codes_valid_from = fields.DatetimeField()
    expires_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "code_cutoffs"


class SubjectKey(Model):
    """One row: the key of the hashes in code_cutoffs. It never changes, so that the hashes outlive every encryption key."""

    id = fields.IntField(primary_key=True, generated=False)
    encrypted_key = fields.TextField()

    class Meta:
        table = "subject_keys"
