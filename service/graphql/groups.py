"""Groups of users: the list, and the groups that an admin gives."""

from typing import Annotated

import strawberry

from service.accounts import groups
from service.database import Row
from service.graphql.connections import Connection
from service.graphql.context import Info
from service.graphql.users import User
from service.paging import Slice


@strawberry.type(description="A group that has members. A group without members does not exist.")
class Group:
    name: str = strawberry.field(description="The name of the group, in Unicode NFC. Compared exactly.")
    member_count: int = strawberry.field(
        description="The number of active users in the group. A user counts once, whatever put the user there."
    )

    @classmethod
    def of_row(cls, row: Row) -> "Group":
        """Return the GraphQL type of a row of the table."""
        return cls(name=row["name"], member_count=row["member_count"])


@strawberry.type
class GroupQueries:
    @strawberry.field(
        description=(
            "The groups that users are in, by name in the order of its bytes, in pages. For admins and API keys. Errors: "
            "BAD_USER_INPUT for a size or cursor that is not valid."
        )
    )
    async def groups(
        self,
        info: Info,
        first: Annotated[
            int | None, strawberry.argument(description="The number of groups: 0 to 200. Default 50.")
        ] = None,
        after: Annotated[
            str | None, strawberry.argument(description="Return the groups that follow this cursor.")
        ] = None,
    ) -> Connection[Group] | None:
        info.context.caller.require_reader()
        listing = groups.list_groups()
        return Connection(
            page=await listing.page(Slice(first=first, after=after)), node_of=Group.of_row, counter=listing.count
        )


@strawberry.type
class GroupMutations:
    @strawberry.mutation(
        description=(
            "Replaces the groups that admins gave a user. The groups that came by codes stay. Errors: BAD_USER_INPUT for "
            "more than 64 names or a name that is not 1 to 128 characters long; FORBIDDEN if the user is an admin and the "
            "caller is an API key; CONFLICT if `id` is the ID of one user and the external ID of another; NOT_FOUND."
        )
    )
    async def set_user_groups(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The `id` of a user, or else its external ID.")],
        names: Annotated[
            list[str], strawberry.argument(description="The names of all groups that admins give the user: 64 at most.")
        ],
    ) -> User | None:
        by = info.context.caller.require_manager()
        return User.of(await groups.set_user_groups(id, names, by))
