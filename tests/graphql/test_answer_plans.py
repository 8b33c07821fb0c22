"""Answers by plans are those of graphql-core, which Strawberry runs: the same data, nulls, errors, paths and order.

Documents are generated for the real schema. A few users of each page are spoiled, so that plans meet values that they
are not made for: in the middle of a list, where a null is forbidden, and where it is allowed.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

from service.api_keys.keys import create_api_key
from service.api_keys.models import ApiKeyScope
from service.authority import Caller
from service.database import Row
from service.graphql.context import Context
from service.graphql.schema import schema
from service.graphql.server import documents
from service.graphql.server.answer_plans import DocumentPlans
from service.graphql.server.documents import Documents
from service.graphql.server.errors import ErrorBoundary
from service.graphql.server.operations import Operations
from service.graphql.server.requests import GraphQLRequest
from service.graphql.users import User
from service.instance import Instance
from service.sessions.lifecycle import Client, find_session
from tests.actions import TESTER, admin, code_of, enable, member, open_for
from tests.graphql.test_stock_executor import shape_of

GRAPHQL = schema._schema
DOCUMENTS_PER_SEED = 40
DEPTH = 5
LONGEST = 2_000  # characters, about 500 tokens
VARIABLES: dict[str, object] = {"yes": True, "no": False}
ROOTS = {
    "signInMethods": "",
    "viewer": "",
    "currentSession": "",
    "users": "(first: 6)",
    "user": '(id: "$USER")',
    "seatUsage": "",
    "authentication": "",
    "inspectExternalAuthCode": '(externalAuthCode: "$CODE")',
    "apiKeys": "",
    "auditLog": "(first: 4)",
}


class Generator:
    """Writes documents: any fields of the schema, with aliases, fragments, directives, unions, merged and repeated fields."""

    def __init__(self, chance: random.Random, values: dict[str, str], always: tuple[str, ...] = ()) -> None:
        """Each document has the root fields `always`, and some others."""
        self._always = always
        self._chance = chance
        self._values = values
        self._fragments: list[str] = []
        self._with_directives = False

    def document(self) -> str:
        """A query of some root fields, within the limit of tokens."""
        while len(text := self._document()) > LONGEST:
            pass
        return text

    def _document(self) -> str:
        self._fragments, self._with_directives = [], self._chance.random() < 0.3
        roots = dict.fromkeys([*self._always, *self._chance.sample(sorted(ROOTS), self._chance.randint(1, 3))])
        assert GRAPHQL.query_type
        fields = [self._field(GRAPHQL.query_type.fields[name], name, ROOTS[name], DEPTH) for name in roots]
        text = f"query Q {{ {' '.join(fields)} }}"
        if self._with_directives:
            used = "t: __typename @include(if: $yes) @skip(if: $no)"
            text = f"query Q($yes: Boolean!, $no: Boolean!) {{ {' '.join(fields)} {used} }}"
        text = " ".join([text, *self._fragments])
        for name, value in self._values.items():
            text = text.replace(f"${name}", value)
        return text

    def mutation(self, call: str, type_: Any) -> str:
        """A mutation with a selection of this type, within the limit of tokens."""
        text = ""
        while not 0 < len(text) - len(call) < LONGEST:
            self._fragments, self._with_directives = [], False
            text = f"mutation {{ {call} {self.of_type(type_, 4)} }}"
            text = " ".join([text, *self._fragments])
        return text

    def of_type(self, type_: Any, depth: int) -> str:
        """A selection of this type, empty for scalars and enums."""
        named = get_named_type(type_)
        if is_leaf_type(named):
            return ""
        parts = [self._part(named, depth) for _ in range(self._chance.randint(1, 5))]
        return f"{{ {' '.join(parts)} }}"

    def _part(self, named: Any, depth: int) -> str:
        if isinstance(named, GraphQLUnionType):
            if self._chance.random() < 0.2:
                return "__typename"
            member = self._chance.choice(named.types)
            return f"... on {member.name} {self.of_type(member, depth - 1)}"
        assert isinstance(named, GraphQLObjectType)
        match self._chance.randint(0, 9):
            case 0:
                return f"{self._alias()}__typename{self._directive()}"
            case 1:
                return f"... on {named.name} {self._directive()} {self.of_type(named, depth - 1)}"
            case 2:
                return self._spread(named, depth)
            case _:
                if not (fields := list(self._fields(named, depth))):
                    return "__typename"
                name, field = self._chance.choice(fields)
                return self._field(field, name, "", depth)

    def _field(self, field: GraphQLField, name: str, arguments: str, depth: int) -> str:
        written = f"{self._alias(name, arguments)}{name}{arguments}{self._directive()} "
        first = written + self.of_type(field.type, depth - 1)
        if self._chance.random() < 0.2:
            return f"{first} {written}{self.of_type(field.type, depth - 1)}"  # merged with the first
        return first

    def _fields(self, named: GraphQLObjectType, depth: int) -> Iterator[tuple[str, GraphQLField]]:
        for name, field in named.fields.items():
            is_leaf = is_leaf_type(get_named_type(field.type))
            if (is_leaf or depth > 0) and not any(map(is_required_argument, field.args.values())):
                yield name, field

    def _alias(self, *of: str) -> str:
        """An alias that is used for this field only, so that all fields can be merged."""
        named = "_".join(["a", *(part for part in of if part.isalnum())])
        return f"{named}: " if self._chance.random() < 0.3 else ""

    def _directive(self) -> str:
        if not self._with_directives or self._chance.random() < 0.7:
            return ""
        return self._chance.choice(
            [" @include(if: $yes)", " @include(if: $no)", " @skip(if: $yes)", " @skip(if: $no)", " @skip(if: false)"]
        )

    def _spread(self, named: GraphQLObjectType, depth: int) -> str:
        selection = self.of_type(named, depth - 1)
        name = f"F{len(self._fragments)}"
        self._fragments.append(f"fragment {name} on {named.name} {selection}")
        return f"...{name}"


_user_of_row = User.of_row


def spoiled(row: Row) -> User:
    """Return the user of this row. Some users have values that the schema does not allow."""
    user, number = _user_of_row(row), int(row["id"][-1], 16)
    if number % 2 == 0:
        user.status = "GONE"  # type: ignore[assignment]  # no member of the enum
    if number % 3 == 0:
        user.created_at = datetime(2030, 1, 1)  # noqa: DTZ001  # a time without a zone
    if number % 4 == 1:
        user.email = ValueError("an exception as a value")  # type: ignore[assignment]
    if number % 5 == 0:
        user.id = None  # type: ignore[assignment]
    return user


def operations() -> Operations:
    """The service's operations, whose result is that of the executor, before errors are made ready for clients."""
    boundary = ErrorBoundary(lambda _error, _reference: None, lambda _refusal, _context: None)
    made = Operations(schema, Documents(schema, introspection=True), boundary)
    made._payload = comparable  # type: ignore[method-assign,assignment]
    return made


def comparable(result: Any, _context: object = None) -> dict[str, Any]:
    """Return data and errors as a client sees them, with the order of fields. The order of errors is not promised."""
    errors = [error.formatted for error in result.errors or ()]
    return {"data": json.dumps(result.data), "errors": sorted(map(json.dumps, errors))}


@dataclass
class Scene:
    """An instance with users of every kind, and who asks."""

    instance: Instance
    caller: Caller
    values: dict[str, str]

    @property
    def context(self) -> Context:
        """A new context: it keeps what it has read."""
        return Context(self.instance, self.caller)


@pytest.fixture(autouse=True)
def _without_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generated documents have more aliases and tokens than the service takes."""
    monkeypatch.setattr(documents, "check_size", lambda _ast: None)
    monkeypatch.setattr(documents, "MAX_TOKENS", 100_000)


@pytest.fixture(autouse=True)
def _without_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    """An inspection is an event, which the second run of a document would find in the audit log."""

    async def record_nothing(*_: object) -> None:
        pass

    monkeypatch.setattr("service.graphql.inspection.record_inspection", record_nothing)


@pytest.fixture
async def scene(instance: Instance) -> Scene:
    secret = await enable(instance)
    boss = await admin()
    users = [await member(f"user{number}@example.com") for number in range(12)]
    for number, user in enumerate(users):
        for _ in range(number % 3):
            await open_for(user)
    await create_api_key("a key", ApiKeyScope.READ, None, TESTER)
    token = (await open_for(boss)).token
    caller = Caller(Client("192.0.2.1", "a browser"), await find_session(token), token)
    code = code_of(secret, {"user": {"id": "by-code", "email": "code@example.com", "plan": {"seats": 2}}})
    return Scene(instance, caller, {"USER": users[-1].id, "CODE": code})


@pytest.mark.parametrize(
    ("seed", "are_spoiled", "with_plans"),
    [(1, False, True), (2, False, True), (3, True, True), (4, True, True), (5, True, False)],
)
async def test_generated_queries_are_answered_as_graphql_core_answers_them(
    scene: Scene, seed: int, are_spoiled: bool, with_plans: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if are_spoiled:
        monkeypatch.setattr(User, "of_row", staticmethod(spoiled))
    if not with_plans:
        monkeypatch.setattr(DocumentPlans, "find", lambda *_: None)
    generator = Generator(random.Random(seed), scene.values, ("users",) if are_spoiled else ())
    ours, plans, errors = operations(), 0, 0
    with time_machine.travel(datetime.now(UTC), tick=False):
        for _ in range(DOCUMENTS_PER_SEED):
            document = generator.document()
            variables = VARIABLES if "$yes" in document else None
            stock = await schema.execute(document, variables, context_value=scene.context)
            request = GraphQLRequest(document, variables)
            answer: Any = await ours.answer(request, scene.context)
            assert answer == comparable(stock), document
            assert await ours.answer(request, scene.context) == answer, document  # by the plans that were kept
            selected = ours.prepare(request).selected
            plans += sum(plan is not None for plan in selected.plans._kept.values()) if selected else 0
            errors += len(answer["errors"])
    assert bool(plans) == with_plans
    assert bool(errors) == are_spoiled


@pytest.mark.parametrize("seed", range(3))
async def test_unions_are_answered_as_graphql_core_answers_them(scene: Scene, seed: int) -> None:
    assert GRAPHQL.mutation_type
    union = GRAPHQL.mutation_type.fields["exchangeExternalAuthCode"].type
    generator, ours = Generator(random.Random(seed), {}), operations()
    for code in (scene.values["CODE"], "no.good.code") * 10:
        document = generator.mutation(f'exchangeExternalAuthCode(externalAuthCode: "{code}")', union)
        stock = await schema.execute(document, context_value=scene.context)
        answer: Any = await ours.answer(GraphQLRequest(document), scene.context)
        assert not answer["errors"], document
        assert shape_of(json.loads(answer["data"])) == shape_of(stock.data), document


async def test_plans_of_a_document_have_no_more_fields_than_it_has_tokens(scene: Scene) -> None:
    aliases = " ".join(f"a{number}: nodes {{ ...F }}" for number in range(20))
    document = f"{{ users(first: 1) {{ {aliases} }} }} fragment F on User {{ {'id email role ' * 40} }}"
    ours = operations()
    request = GraphQLRequest(document)
    stock = await schema.execute(document, context_value=scene.context)
    assert await ours.answer(request, scene.context) == comparable(stock)
    selected = ours.prepare(request).selected
    assert selected
    assert len(selected.plans._kept) <= ours.prepare(request).ast.token_count
