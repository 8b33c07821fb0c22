"""API keys: machines that administer."""

from datetime import datetime
from typing import Annotated

import strawberry

from service.api_keys import keys, models
from service.graphql.context import Info
from service.graphql.enums import ApiKeyScope


@strawberry.type(description="A machine's key; its token cannot be read again.")
class ApiKey:
    id: strawberry.ID = strawberry.field(description="The key's id; not its token.")
    name: str = strawberry.field(description="What it is for, in your words.")
    hint: str = strawberry.field(description="The first 4 characters of its token, after `dck_`.")
    scope: ApiKeyScope = strawberry.field(description="What it may do.")
    created_at: datetime = strawberry.field(description="When it was made.")
    expires_at: datetime | None = strawberry.field(description="When it ends; null: when it is revoked.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked; null: it was not.")
    last_used_at: datetime | None = strawberry.field(description="When it was last used, to the minute; null: never.")

    @classmethod
    def of(cls, row: models.ApiKey) -> "ApiKey":
        """The key as the schema shows it."""
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


@strawberry.type(description="A key that was just made.")
class NewApiKey:
    token: str = strawberry.field(description="To be sent as `Authorization: Bearer …`. Shown this once.")
    api_key: ApiKey = strawberry.field(description="The key.")


@strawberry.type
class ApiKeyQueries:
    @strawberry.field(description="Every API key there ever was, newest first. For admins and API keys.")
    async def api_keys(self, info: Info) -> list[ApiKey] | None:
        info.context.caller.require_reader()
        return [ApiKey.of(row) for row in await models.ApiKey.all().order_by("-created_at", "-id")]


@strawberry.type
class ApiKeyMutations:
    @strawberry.mutation(description="Make an API key. For an admin in person: no key makes keys.")
    async def create_api_key(
        self,
        info: Info,
        name: Annotated[str, strawberry.argument(description="What it is for: 1 to 100 characters.")],
        scope: Annotated[ApiKeyScope, strawberry.argument(description="What it may do.")] = ApiKeyScope.READ,
        expires_at: Annotated[
            datetime | None, strawberry.argument(description="When it ends, in the future; null: when it is revoked.")
        ] = None,
    ) -> NewApiKey | None:
        by = info.context.caller.require_admin_in_person()
        made = await keys.create_api_key(name, scope, expires_at, by)
        return NewApiKey(token=made.token, api_key=ApiKey.of(made.row))

    @strawberry.mutation(description="Let an API key do nothing any more. For an admin in person.")
    async def revoke_api_key(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Which.")]
    ) -> ApiKey | None:
        by = info.context.caller.require_admin_in_person()
        return ApiKey.of(await keys.revoke_api_key(id, by))
