"""The mutation that makes a sign-in link for one user."""

from datetime import datetime
from typing import Annotated

import strawberry

from service.external_auth import sign_in_links
from service.graphql.context import Info
from service.graphql.users import UserId


@strawberry.type(description="A link that signs in one user.")
class SignInLink:
    link: str = strawberry.field(description="The link. It holds a code, and is shown only once.")
    expires_at: datetime = strawberry.field(description="When the link expires.")


@strawberry.type
class SignInLinkMutations:
    @strawberry.mutation(
        description=(
            "Makes a link that signs in a member, with a code signed with the current secret. The code names the user by the "
            "external ID and creates no user. `revokeUserCodes` and `revokeAllCodes` refuse it, and a single-use policy "
            "accepts it once. Only for admins in person. Errors: BAD_USER_INPUT for a lifetime out of range; CONFLICT if the "
            "user is an admin, deactivated or without external ID, JWT sign-in is disabled, or the policy does not admit the "
            "link; NOT_FOUND. An admin has to have signed in within the last 15 minutes, else FORBIDDEN with "
            "`freshProofNeeded`."
        )
    )
    async def create_sign_in_link(
        self,
        info: Info,
        user_id: UserId,
        lifetime_seconds: Annotated[
            int,
            strawberry.argument(description="How long the link works: 300 (5 minutes) to 604,800 seconds (7 days)."),
        ] = sign_in_links.DEFAULT_LIFETIME,
    ) -> SignInLink | None:
        info.context.caller.require_admin_in_person()
        by, instance = info.context.caller.require_fresh_proof(), info.context.instance
        made = await sign_in_links.create_sign_in_link(
            user_id, by, instance.cipher, instance.settings.public_url, lifetime=lifetime_seconds
        )
        return SignInLink(link=made.url, expires_at=made.expires_at)
