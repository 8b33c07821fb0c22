"""Where sign-in by codes starts and ends at the customer's, for admins."""

from typing import Annotated

import strawberry

from service.external_auth.configuration import update_sign_in
from service.graphql.context import Info
from service.graphql.external_auth import JwtAuth


@strawberry.input(
    description="How sign-in starts at your own system. A field that is left out stays as it is; null clears a URL."
)
class JwtSignInInput:
    sign_in_url: strawberry.Maybe[str | None] = strawberry.field(
        default=None,
        description="An https URL, or http on loopback, without user name and fragment. Its own query is kept. Null: none.",
    )
    sign_out_url: strawberry.Maybe[str | None] = strawberry.field(
        default=None, description="A URL with the same rules. Null: none."
    )
    start_automatically: strawberry.Maybe[bool] = strawberry.field(
        default=None, description="Whether `/login` goes to `signInUrl` at once."
    )
    require_state: strawberry.Maybe[bool] = strawberry.field(
        default=None, description="Whether a link login needs a `state` that this browser was given."
    )

    def given(self) -> dict[str, object]:
        """Return the fields that were sent, null included."""
        return {name: maybe.value for name, maybe in vars(self).items() if maybe is not None}


@strawberry.type
class CustomerSignInMutations:
    @strawberry.mutation(
        description=(
            "Changes where sign-in by codes starts and ends for people in a browser. Email login and the panel do not depend on "
            "it. Errors: BAD_USER_INPUT names the value that is not valid."
        )
    )
    async def update_jwt_sign_in(
        self, info: Info, input: Annotated[JwtSignInInput, strawberry.argument(description="The values to change.")]
    ) -> JwtAuth | None:
        by = info.context.caller.require_admin()
        return JwtAuth.of(await update_sign_in(input.given(), by))
