"""graphql-core's stock executor, as Strawberry runs it, answers the real schema as `AttributeExecutor` does.

So the day an upgrade of graphql-core breaks `AttributeExecutor`, it can be deleted without a change of behaviour.
"""

import base64
import json
from collections import Counter
from typing import Any

import pytest
from graphql import (
    GraphQLObjectType,
    GraphQLOutputType,
    get_named_type,
    is_abstract_type,
    is_interface_type,
    is_required_argument,
)

from service.accounts.groups import set_user_groups
from service.accounts.models import User
from service.api_keys.keys import create_api_key
from service.api_keys.models import ApiKeyScope
from service.authority import Caller
from service.external_auth.secrets import list_secrets
from service.graphql.context import Context
from service.graphql.endpoint import graphql_endpoint
from service.graphql.schema import schema
from service.graphql.server.requests import GraphQLRequest
from service.instance import Instance
from service.sessions.lifecycle import Client, find_session
from tests.actions import TESTER, admin, code_of, enable, member, open_for, refusal_of
from tests.branding.logos import SVG

GRAPHQL = schema._schema
PAGE = "(first: 3)"
QUERIES = [
    "signInMethods",
    "signInOptions",
    "branding",
    "viewer",
    "currentSession",
    f"users{PAGE}",
    f"groups{PAGE}",
    'user(id: "$USER")',
    'node(id: "$USER")',
    "settings",
    "seatUsage",
    "authentication",
    'inspectExternalAuthCode(externalAuthCode: "$CODE")',
    'inspectExternalAuthCode(externalAuthCode: "no.good.code")',
    "apiKeys",
    f"auditLog{PAGE}",
    'refusal(reference: "K7XA249Z5R")',
    f"refusals{PAGE}",
    "signInDays(days: 1)",
    "mailStatus",
    "refusedOrigins",
]
LOGO = base64.b64encode(SVG.encode()).decode()
MUTATIONS = [
    'exchangeExternalAuthCode(externalAuthCode: "$CODE")',
    'exchangeExternalAuthCode(externalAuthCode: "no.good.code")',
    'requestEmailCode(email: "$RUN@example.com")',
    'exchangeEmailCode(requestId: "x", code: "1")',
    "updateEmailLogin(enabled: true)",
    "issueAccessToken",
    "enableJwtAuth",
    "rotateJwtSecret(gracePeriodSeconds: 60)",
    'revokeJwtSecret(id: "$SECRET")',
    'updateJwtSecret(id: "$SECRET", name: "CRM")',
    'updateJwtPolicy(policy: {issuer: "crm"})',
    "revokeAllCodes",
    "createTestLink",
    'updateUser(id: "$USER", externalId: "crm-$RUN")',
    'createSignInLink(userId: "$USER", lifetimeSeconds: 300)',
    'updateJwtSignIn(input: {signInUrl: "https://crm.example.com/login"})',
    "disableJwtAuth(endSessions: false)",
    f'updateBranding(input: {{name: "Corner Shop", logo: "{LOGO}"}})',
    "setSeatLimit(limit: 100)",
    'inviteUser(email: "new-$RUN@example.com")',
    'setUserGroups(id: "$USER", names: ["a", "b"])',
    'deactivateUser(id: "$USER")',
    'reactivateUser(id: "$USER")',
    'createUser(externalId: "made-$RUN")',
    'inviteUsers(emails: ["many-$RUN@example.com", "wrong"])',
    'deactivateUsers(ids: ["$USER", "nobody"])',
    'reactivateUsers(ids: ["$USER", "nobody"])',
    'sendInvitation(id: "$USER")',
    'unlockEmailSignIn(id: "$USER")',
    'setUserRole(id: "$USER", role: MEMBER)',
    'createApiKey(name: "x")',
    "sendTestMail",
    'revokeApiKey(id: "$KEY")',
    'endUserSessions(id: "$USER")',
    'revokeUserCodes(id: "$USER")',
    'deleteUser(id: "$LEAVER")',
    'eraseUser(id: "$LEAVER")',
    'endSession(id: "$SESSION")',
]


def everything_of(
    type_: GraphQLOutputType, above: tuple[str, ...] = (), differing: frozenset[str] = frozenset()
) -> str:
    """Return a selection of every field that needs no argument, without coming back to a type that is above.

    `differing` fields have aliases: in another type of the same interface, they have another type.
    """
    named = get_named_type(type_)
    if is_abstract_type(named):
        members = GRAPHQL.get_possible_types(named)
        types = {(name, str(field.type)) for member in members for name, field in member.fields.items()}
        names = Counter(name for name, _ in types) if is_interface_type(named) else Counter[str]()
        differing = frozenset(name for name, number in names.items() if number > 1)
        parts = (f"... on {member.name} {everything_of(member, above, differing)}" for member in members)
        return f"{{ __typename {' '.join(parts)} }}"
    if not isinstance(named, GraphQLObjectType):
        return ""
    above = (*above, named.name)
    fields = [
        f"{f'of{named.name}: {name}' if name in differing else name} {everything_of(field.type, above)}"
        for name, field in named.fields.items()
        if get_named_type(field.type).name not in above and not any(map(is_required_argument, field.args.values()))
    ]
    return f"{{ __typename {' '.join(fields)} }}"


def document_of(kind: str, root_field: str) -> str:
    """Return an operation that asks this root field for everything."""
    root = GRAPHQL.query_type if kind == "query" else GRAPHQL.mutation_type
    assert root is not None
    return f"{kind} {{ {root_field} {everything_of(root.fields[root_field.partition('(')[0]].type)} }}"


def type_names_in(answer: Any) -> set[str]:
    """Return every `__typename` of an answer."""
    if isinstance(answer, dict):
        own = {answer["__typename"]} if "__typename" in answer else set()
        return own.union(*(type_names_in(value) for value in answer.values()))
    return set().union(*(type_names_in(value) for value in answer)) if isinstance(answer, list) else set()


def shape_of(answer: Any, name: str = "") -> Any:
    """Return the answer with types in place of values. Mutations run twice, with other IDs, secrets and times.

    Of a list it is the first element: the second run finds what the first has added.
    """
    if isinstance(answer, dict):
        return {key: shape_of(value, key) for key, value in answer.items()}
    if isinstance(answer, list):
        return [shape_of(value) for value in answer[:1]]
    return answer if name == "__typename" else type(answer).__name__


class Side:
    """One of the two executors with users, secrets and keys of its own, so that mutations run on both."""

    def __init__(self, run: str, context: Context, values: dict[str, str]) -> None:
        self._context = context
        instance = context.instance
        self._operations = graphql_endpoint(lambda _request: instance, instance.settings).operations
        self._values = values | {"RUN": run}

    def fill(self, document: str) -> str:
        """Return the document with this side's values."""
        for name, value in self._values.items():
            document = document.replace(f"${name}", value)
        return document

    async def by_attributes(self, document: str) -> dict[str, Any]:
        """Return the answer of the service's executor."""
        return dict(await self._operations.answer(GraphQLRequest(self.fill(document)), self._context))

    async def by_stock(self, document: str) -> dict[str, Any]:
        """Return the answer of Strawberry's executor."""
        result = await schema.execute(self.fill(document), context_value=self._context)
        errors = [error.formatted for error in getattr(result, "errors", None) or ()]
        return {"data": result.data} | ({"errors": errors} if errors else {})


async def _caller(boss: User) -> Caller:
    token = (await open_for(boss)).token
    return Caller(Client("192.0.2.1", "a browser"), await find_session(token), token)


async def _side(run: str, instance: Instance, boss: User, secret: str) -> Side:
    here, leaver = await member(f"here-{run}@example.com"), await member(f"leaver-{run}@example.com")
    session = (await open_for(here)).session.id
    key = (await create_api_key(f"key {run}", ApiKeyScope.READ, None, TESTER)).row.id
    code = code_of(secret, {"user": {"id": f"by-code-{run}", "email": f"code-{run}@example.com", "plan": {"seats": 2}}})
    context = Context(instance, await _caller(boss))
    old = (await list_secrets())[-1].id
    values = {"SECRET": old, "USER": here.id, "LEAVER": leaver.id}
    return Side(run, context, values | {"CODE": code, "KEY": key, "SESSION": session})


async def test_both_executors_answer_every_type_of_the_schema_alike(instance: Instance) -> None:
    secret, boss = await enable(instance), await admin()
    await set_user_groups(boss.id, ["staff"], TESTER)
    await refusal_of(instance, "no.good.code")
    instance.pending_events.daily_counts.add_refused_origin("https://shop.example")
    first, second = await _side("one", instance, boss, secret), await _side("two", instance, boss, secret)
    seen: set[str] = set()
    for document in (document_of("query", field) for field in QUERIES):
        ours = await first.by_attributes(document)
        assert json.dumps(ours) == json.dumps(await first.by_stock(document)), document
        assert "errors" not in ours, (document, ours)
        seen |= type_names_in(ours["data"])
    for document in (document_of("mutation", field) for field in MUTATIONS):
        ours, stock = await first.by_attributes(document), await second.by_stock(document)
        assert json.dumps(shape_of(ours["data"])) == json.dumps(shape_of(stock["data"])), document
        assert [error["path"] for error in ours.get("errors", ())] == [e["path"] for e in stock.get("errors", ())]
        seen |= type_names_in(ours["data"])
    types = {
        name
        for name, type_ in GRAPHQL.type_map.items()
        if isinstance(type_, GraphQLObjectType) and not name.startswith("__")
    }
    assert types - seen == {"Query", "Mutation"}


@pytest.mark.parametrize(("kind", "fields"), [("query", QUERIES), ("mutation", MUTATIONS)])
def test_every_root_field_is_compared(kind: str, fields: list[str]) -> None:
    root = GRAPHQL.query_type if kind == "query" else GRAPHQL.mutation_type
    assert root is not None
    assert {field.partition("(")[0] for field in fields} == set(root.fields)
