"""The GraphQL types of users and sessions."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, TypeVar

import strawberry
from strawberry.scalars import JSON
from strawberry.utils.str_converters import to_camel_case

from service.accounts import models
from service.accounts.administration import UNCHANGED, Unchanged
from service.accounts.groups import MAX_GROUPS, groups_of
from service.accounts.lookup import COLUMN_NAMES, COLUMN_READERS, user_from_row
from service.accounts.metadata import display_name, load_metadata
from service.database import Row
from service.errors import Forbidden, Unauthenticated
from service.graphql.connections import Connection
from service.graphql.context import Context, Info
from service.graphql.enums import GroupSource, SignInMethod, UserOrigin, UserRole, UserStatus
from service.graphql.server.node_count import ListLength
from service.paging import Slice
from service.sessions.lifecycle import LiveSession, session_from_row
from service.sessions.listing import list_sessions

UserId = Annotated[
    strawberry.ID,
    strawberry.argument(
        description="The `id` of a user, or else its external ID. CONFLICT if these are two different users."
    ),
]

Value = TypeVar("Value", str | None, datetime | None)

_SESSIONS_SHOWN = 20


@strawberry.interface(description="An object that `node` finds by its ID, as Relay needs to fetch it again.")
class Node:
    id: strawberry.ID = strawberry.field(description="The ID of the object.")


@strawberry.type(description="A group of a user, and what put the user into it.")
class UserGroup:
    name: str = strawberry.field(description="The name of the group, in Unicode NFC. Compared exactly.")
    source: GroupSource = strawberry.field(description="What put the user into the group.")


@strawberry.type(description="A user of this service.")
class User(Node):
    source: strawberry.Private[models.User | Row]
    id: strawberry.ID = strawberry.field(
        description=(
            "The user ID: the `user.id` of the code that created the user, else an ID of this service (`usr_…`)."
        )
    )
    external_id: str | None = strawberry.field(
        description=("The ID of this user in your own system, which codes carry as `user.id`. Null if there is none.")
    )
    email: str | None = strawberry.field(
        description=(
            "The email address in normal form: lower case, domain in IDNA A-form. A verified address is unique; one "
            "that a code only claimed may be that of other users too. Null if there is none."
        )
    )
    email_verified: bool = strawberry.field(
        description=(
            "Whether the email is verified: an email sign-in, an invitation or an admin gave it, or a code that counts "
            "as verified. An address that is only claimed is shown and signs in no user. False if there is no email."
        )
    )
    origin: UserOrigin = strawberry.field(description="How the user came to be.")
    role: UserRole = strawberry.field(description="The role: MEMBER or ADMIN.")
    status: UserStatus = strawberry.field(
        description="The status: ACTIVE or DEACTIVATED. DEACTIVATED once `accessUntil` has passed."
    )
    access_until: datetime | None = strawberry.field(
        description=(
            "From this time on the user is treated as DEACTIVATED: the sessions end and the seat is free. Null if the access "
            "has no end."
        )
    )
    codes_valid_from: datetime | None = strawberry.field(
        description=(
            "Codes of the user that were issued before this time are refused, and codes without `iat`. To the second. Null "
            "if codes of any time are accepted."
        )
    )
    created_at: datetime = strawberry.field(description="When the user was created.")
    last_seen_at: datetime | None = strawberry.field(
        description="When the user last made a request, rounded down to the hour. Null if the user never did."
    )

    @strawberry.field(
        description="The other members of the `user` object of the last code that had any. {} if there are none."
    )
    def metadata(self) -> JSON:
        return JSON(load_metadata(self.row.metadata))

    @strawberry.field(
        description=(
            "The name to show for the user: the member `name` of the metadata, on one line, at most 200 characters. Null "
            "if it is absent or no text."
        )
    )
    def display_name(self) -> str | None:
        return display_name(self.row.metadata)

    @strawberry.field(
        description=(
            "The groups of the user, by name. A group that both a code and an admin gave has two entries. No group gives "
            "rights in this service."
        ),
        metadata=ListLength(2 * MAX_GROUPS, entries_per_node=16).metadata,
    )
    def groups(self) -> list[UserGroup]:
        return [UserGroup(name=name, source=source) for name, source in groups_of(self.row)]

    @strawberry.field(
        description=(
            "The user's live sessions, newest first. For the user, admins and API keys. A session without admin rights "
            "does not see those that have them. Errors: FORBIDDEN for other users, UNAUTHENTICATED without signing in."
        )
    )
    async def sessions(
        self,
        info: Info,
        first: Annotated[
            int | None, strawberry.argument(description="The number of sessions: 0 to 200. Default 20.")
        ] = _SESSIONS_SHOWN,
        after: Annotated[
            str | None, strawberry.argument(description="Return the sessions that follow this cursor.")
        ] = None,
    ) -> Connection["Session"]:
        context = info.context
        _require_self_or_reader(context, self.row)
        wanted = Slice(first=_SESSIONS_SHOWN if first is None else first, after=after)
        page = await (
            list_sessions(self.row, with_admin_rights=context.shows_admin_sessions).page(wanted)
            if after is not None
            else context.first_sessions(self.row, wanted.size)
        )
        return Connection(
            page=page,
            node_of=partial(_session_of, context, self.row),
            counter=partial(context.count_sessions, self.row),
        )

    def __getattr__(self, name: str) -> object:
        """Return a value of a user that `of_row` made, when it is selected. Raises `AttributeError`."""
        if read := COLUMN_READERS.get(name):
            return read(self.source)  # type: ignore[arg-type]  # a user that `of` made has all its values
        if name not in User.__annotations__ or name == "source":
            raise AttributeError(name)
        self.__dict__.update(vars(User.of(self.row)))
        return self.__dict__[name]

    @property
    def row(self) -> models.User:
        """The user, for the rules of other packages."""
        return self.source if isinstance(self.source, models.User) else user_from_row(self.source)

    @classmethod
    def of(cls, row: models.User) -> "User":
        """Return the GraphQL type of a user."""
        return cls(
            source=row,
            id=strawberry.ID(row.id),
            external_id=row.external_id,
            email=row.shown_email,
            email_verified=row.email_verified,
            origin=row.origin,
            role=row.role,
            status=row.current_status,
            access_until=row.access_until,
            codes_valid_from=row.codes_valid_from,
            created_at=row.created_at,
            last_seen_at=row.last_seen_at,
        )

    @staticmethod
    def columns_of(names: frozenset[str]) -> list[str] | None:
        """Return the columns that a page needs for fields of these names. None for all: a field needs more than one."""
        if not names <= _READ_ALONE.keys() | _OF_PAGES:
            return None
        return [column for name in names for column in _READ_ALONE.get(name, ())]

    @classmethod
    def of_row(cls, row: Row) -> "User":
        """Return the GraphQL type of a row of the table.

        Values are read when they are selected: a page of 200 users usually needs half of them.
        """
        user = cls.__new__(cls)
        user.source = row
        return user

    @classmethod
    def reader(cls, names: frozenset[str]) -> Callable[[Row], "User"]:
        """Return `of_row` for a page that selects fields of these names: it reads their values at once.

        Reading a value when the answer needs it takes three times as long, because `__getattr__` is asked last.
        """
        readers = [(_ATTRIBUTES[name], COLUMN_READERS[_ATTRIBUTES[name]]) for name in names if name in _ATTRIBUTES]

        def read(row: Row) -> "User":
            user = cls.of_row(row)
            user.__dict__ = {name: read_value(row) for name, read_value in readers} | user.__dict__
            return user

        return read


_READ_ALONE = {to_camel_case(value): columns for value, columns in COLUMN_NAMES.items()}
_ATTRIBUTES = {to_camel_case(value): value for value in COLUMN_READERS if value != "status"}
_OF_PAGES = frozenset(
    [
        "edges",
        "node",
        "nodes",
        "cursor",
        "pageInfo",
        "hasNextPage",
        "hasPreviousPage",
        "startCursor",
        "endCursor",
        "totalCount",
        "__typename",
    ]
)


@strawberry.type(description="A session of a user.")
class Session(Node):
    live: strawberry.Private[LiveSession]
    id: strawberry.ID = strawberry.field(
        description="The ID of the session. It is not the session token, which cannot be read again."
    )
    method: SignInMethod = strawberry.field(description="How the user signed in.")
    created_at: datetime = strawberry.field(description="When the session was opened.")
    expires_at: datetime = strawberry.field(description="When the session ends. Fixed when it is opened.")
    last_seen_at: datetime = strawberry.field(description="When the session was last used, to 5 minutes.")
    ip_address: str | None = strawberry.field(
        description="The client address that the session was opened from. Null if unknown."
    )
    user_agent: str | None = strawberry.field(
        description=(
            "The `User-Agent` header of the client that opened the session, 256 characters at most. Null if there"
            " was none."
        )
    )
    current: bool = strawberry.field(description="Whether this session made the request.")
    admin_rights: bool = strawberry.field(
        description=(
            "Whether this session has admin rights: its user signed in by email, was an ADMIN then and is one now, and"
            " its token is not in the members' cookie."
        )
    )

    @strawberry.field(description="The user of the session.")
    def user(self) -> User:
        return User.of(self.live.user)

    @classmethod
    def of(cls, live: LiveSession, *, current: bool) -> "Session":
        """Return the GraphQL type of a session."""
        return cls(
            live=live,
            id=strawberry.ID(live.id),
            method=live.method,
            created_at=live.created_at,
            expires_at=live.expires_at,
            last_seen_at=live.last_seen_at,
            ip_address=live.ip_address,
            user_agent=live.user_agent,
            current=current,
            admin_rights=live.has_admin_rights,
        )


def _session_of(context: Context, user: models.User, row: Row) -> Session:
    current = any(session.id == row["session_id"] for session in context.own_sessions)
    return Session.of(session_from_row(row, user), current=current)


def _require_self_or_reader(context: Context, user: models.User) -> None:
    own = context.own_sessions
    if context.caller.may_read_everything or any(session.user.serial == user.serial for session in own):
        return
    if not own:
        raise Unauthenticated("Sign in first: sessions are shown to the user itself and to admins.")
    raise Forbidden("Sessions are shown to the user itself and to admins.")


def given(argument: strawberry.Maybe[Value]) -> Value | Unchanged:
    """Return the value of an argument, `UNCHANGED` if it was left out."""
    return UNCHANGED if argument is None else argument.value
