"""Queries and mutations of API keys."""

from datetime import datetime
from typing import Annotated

import strawberry

from service.api_keys import keys, models
from service.graphql.context import Info
from service.graphql.enums import ApiKeyScope
from service.graphql.server.node_count import ListLength


@strawberry.type(description="An API key, by which a program administers. Its token cannot be read again.")
class ApiKey:
    id: strawberry.ID = strawberry.field(description="The ID of the key. It is not its token.")
    name: str = strawberry.field(description="The name that the admin gave the key.")
    hint: str = strawberry.field(description="The first 4 characters of the token after `dck_`.")
    scope: ApiKeyScope = strawberry.field(description="What the key may do.")
    created_at: datetime = strawberry.field(description="When it was created.")
    expires_at: datetime | None = strawberry.field(description="When the key expires. Null if it does not expire.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked. Null if it was not.")
    last_used_at: datetime | None = strawberry.field(
        description="When the key was last used, rounded down to the minute. Null if it was never used."
    )

    @classmethod
    def of(cls, row: models.ApiKey) -> "ApiKey":
        """Return the GraphQL type of a key."""
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            hint=row.hint,
            scope=row.scope,
            created_at=row.created_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
            last_used_at=row.last_used_at,
        )


@strawberry.type(description="An API key that was just created.")
class NewApiKey:
    token: str = strawberry.field(
        description="The token, to be sent as `Authorization: Bearer …`. It is shown only once."
    )
    api_key: ApiKey = strawberry.field(description="The key without its token.")


@strawberry.type
class ApiKeyQueries:
    @strawberry.field(
        description=(
            "The usable API keys, and the newest 100 of all, revoked and expired ones included, newest first. The list "
            "counts as 100 nodes. For admins and API keys."
        ),
        metadata=ListLength(keys.MAX_LISTED).metadata,
    )
    async def api_keys(self, info: Info) -> list[ApiKey] | None:
        info.context.caller.require_reader()
        return [ApiKey.of(row) for row in await keys.list_api_keys()]


@strawberry.type
class ApiKeyMutations:
    @strawberry.mutation(
        description=(
            "Creates an API key. For an admin in person, who signed in within the last 15 minutes. Errors: "
            "FORBIDDEN for API keys and for an older sign-in (`freshProofNeeded`), BAD_USER_INPUT for a "
            "name or an expiry that is not valid, CONFLICT if there are 100 usable keys already."
        )
    )
    async def create_api_key(
        self,
        info: Info,
        name: Annotated[
            str, strawberry.argument(description="A name that says what the key is for: 1 to 100 characters.")
        ],
        scope: Annotated[ApiKeyScope, strawberry.argument(description="What the key may do.")] = ApiKeyScope.READ,
        expires_at: Annotated[
            datetime | None,
            strawberry.argument(description="When the key expires, a time in the future. Null: it does not expire."),
        ] = None,
    ) -> NewApiKey | None:
        info.context.caller.require_admin_in_person()
        by = info.context.caller.require_fresh_proof()
        made = await keys.create_api_key(name, scope, expires_at, by)
        return NewApiKey(token=made.token, api_key=ApiKey.of(made.row))

    @strawberry.mutation(
        description=(
            "Revokes an API key from the next request on. For an admin in person. Errors: FORBIDDEN for API keys,"
            " NOT_FOUND."
        )
    )
    async def revoke_api_key(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The ID of the key.")]
    ) -> ApiKey | None:
        by = info.context.caller.require_admin_in_person()
        return ApiKey.of(await keys.revoke_api_key(id, by))
