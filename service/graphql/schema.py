"""The schema, combined from one module for each feature."""

import strawberry
from strawberry.schema.config import StrawberryConfig

from service.graphql.access import AccessMutations
from service.graphql.accounts import AccountMutations, AccountQueries
from service.graphql.api_keys import ApiKeyMutations, ApiKeyQueries
from service.graphql.audit import AuditQueries
from service.graphql.branding import BrandingMutations, BrandingQueries
from service.graphql.customer_sign_in import CustomerSignInMutations
from service.graphql.email_login import EmailLoginMutations, EmailLoginQueries
from service.graphql.external_auth import ExternalAuthMutations
from service.graphql.groups import GroupMutations, GroupQueries
from service.graphql.inspection import InspectionQueries
from service.graphql.nodes import NodeQueries
from service.graphql.overview import OverviewMutations, OverviewQueries
from service.graphql.refusals import RefusalQueries
from service.graphql.scalars import SCALAR_MAP
from service.graphql.seats import SeatMutations, SeatQueries
from service.graphql.sessions import SessionMutations, SessionQueries
from service.graphql.settings import SettingsMutations, SettingsQueries
from service.graphql.sign_in import SignInMutations, SignInQueries
from service.graphql.sign_in_links import SignInLinkMutations


@strawberry.type(
    description=(
        "Queries. `signInMethods`, `signInOptions`, `branding`, `viewer` and `currentSession` need no rights; the others are for admins "
        "and API keys."
    )
)
class Query(
    SignInQueries,
    SessionQueries,
    AccountQueries,
    GroupQueries,
    SeatQueries,
    EmailLoginQueries,
    InspectionQueries,
    ApiKeyQueries,
    AuditQueries,
    RefusalQueries,
    NodeQueries,
    SettingsQueries,
    OverviewQueries,
    BrandingQueries,
):
    pass


@strawberry.type(description="Mutations: sign-in, sign-out and administration.")
class Mutation(
    SignInMutations,
    EmailLoginMutations,
    SessionMutations,
    ExternalAuthMutations,
    CustomerSignInMutations,
    SeatMutations,
    AccountMutations,
    GroupMutations,
    AccessMutations,
    ApiKeyMutations,
    SettingsMutations,
    OverviewMutations,
    SignInLinkMutations,
    BrandingMutations,
):
    pass


schema = strawberry.Schema(query=Query, mutation=Mutation, config=StrawberryConfig(scalar_map=dict(SCALAR_MAP)))
