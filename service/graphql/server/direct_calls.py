"""Direct calls: an operation of one root field calls its resolver, without an executor of graphql-core.

For every request graphql-core coerces the variables, collects the fields, and builds an executor and four coroutines, and
Strawberry converts the arguments once more. For an exchange that is a fifth of its CPU, and only the values of the
variables differ from request to request. A direct call is worked out once for each operation of a document:

- The operation selects one root field, whose answer has a plan (`answer_plans`).
- If each argument of the field is left out, or is a variable of type String, ID or Int, which every request then has, the
  resolver gets the values as they are. A request with other values is executed by graphql-core.
- Other variables and arguments, such as filters, are converted by graphql-core and Strawberry. A request whose variables
  are refused is executed by graphql-core, which says why.

The rest of a request whose resolver raises an exception or returns a value that the plan does not expect is graphql-core's too:
errors, paths and nulls.

`DirectCall.enabled = False` switches it off, for the tests that compare both.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, TypeAlias

from graphql import (
    GraphQLError,
    GraphQLField,
    GraphQLOutputType,
    OperationDefinitionNode,
    Undefined,
    VariableNode,
    is_non_null_type,
    type_from_ast,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetailsList, collect_fields
from graphql.execution.values import VariableValues, get_argument_values, get_variable_values
from graphql.pyutils import Path
from strawberry import Info
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryMaybe
from strawberry.types.field import StrawberryField

from service.graphql.server.answer_plans import Plan

FindPlan: TypeAlias = Callable[[Any, FieldDetailsList], Plan | None]

_CLASSES = {"String": str, "ID": str, "Int": int}
"""The class of the values that a variable of the type takes as they are."""
_INT = range(-(2**31), 2**31)
_CONSTANTS = (str, int, type(None))


class DirectCall:
    """How to call the resolver of the only root field of an operation, and how to answer with what it returns."""

    enabled: ClassVar[bool] = True

    def __init__(self, executor: Executor[Any], find_plan: FindPlan) -> None:
        """Raise `ValueError` if the operation has no direct call."""
        operation = executor.operation
        root = executor.schema.get_root_type(operation.operation)
        if root is None:
            raise ValueError("the schema has no such operations")
        fields = collect_fields(executor.schema, executor.fragments, executor.variable_values, root, operation)
        [(self.key, self.details)] = fields.grouped_field_set.items()
        [details] = self.details
        field = executor.schema.get_field(root, details.node.name.value)
        plan = find_plan(field.type, self.details) if field else None
        if field is None or plan is None:
            raise ValueError("the answer has no plan")
        self.type: GraphQLOutputType = field.type
        self.plan: Plan = plan
        self._definition = _definition_of(field)
        resolver = self._definition.base_resolver
        assert resolver is not None, "_definition_of has looked"
        self._resolve: Callable[..., Any] = resolver.wrapped_func  # type: ignore[assignment]  # no static method
        self._is_async = resolver.is_async
        self._info_name = resolver.info_parameter.name if resolver.info_parameter else None
        try:
            self._constants, self._variables = _arguments(field, self.details, executor, operation)
            self._conversion: _Conversion | None = None
        except (ValueError, KeyError):
            self._conversion = _Conversion(executor, field, self.details)
        self.path = Path(None, self.key, root.name)
        info: Any = executor.build_resolve_info(field, [details.node], root, self.path)
        self._info = info._replace(context=None, variable_values={})

    def variables_in(self, given: Mapping[str, object] | None) -> dict[str, Any] | None:
        """Return the values of the operation's variables. None if graphql-core must coerce them, or refuse them."""
        if self._conversion is not None:
            return self._conversion.variables_in(given)
        values: dict[str, Any] = {}
        for name, _, class_, may_be_null in self._variables:
            value = given.get(name, Undefined) if given else Undefined
            if type(value) is not class_ and not (value is None and may_be_null):
                return None
            if class_ is int and value is not None and value not in _INT:
                return None
            values[name] = value
        return values

    def info_for(self, variables: dict[str, Any], context: object) -> Any:
        """Return what graphql-core tells a resolver of its field."""
        return self._info._replace(context=context, variable_values=variables)

    async def resolve(self, info: Any) -> Any:
        """Return what the resolver returns. An exception that it raises is returned too: `complete_value` raises it."""
        variables = info.variable_values
        if self._conversion is not None:
            return await self._conversion.resolve(info)
        arguments = self._constants | {argument: variables[name] for name, argument, _, _ in self._variables}
        if self._info_name is not None:
            arguments[self._info_name] = Info(_raw_info=info, _field=self._definition)
        try:
            result = self._resolve(None, **arguments)
            return await result if self._is_async else result
        except Exception as error:
            return error


class _Converted(dict[str, Any]):
    """The values of variables. Literals that contain variables need their sources too."""

    def __init__(self, values: VariableValues) -> None:
        super().__init__(values.coerced)
        self.with_sources = values


class _Conversion:
    """Calls a resolver whose arguments graphql-core and Strawberry must convert."""

    def __init__(self, executor: Executor[Any], field: GraphQLField, details: FieldDetailsList) -> None:
        self._schema = executor.schema
        self._declared = executor.operation.variable_definitions or ()
        self._field = field
        self._node = details[0].node
        assert field.resolve is not None, "Strawberry gives each field one"
        self._resolve = field.resolve

    def variables_in(self, given: Mapping[str, object] | None) -> dict[str, Any] | None:
        """Return the values of the operation's variables, or None if they are refused."""
        values = get_variable_values(self._schema, self._declared, dict(given or {}), max_errors=1)
        return None if isinstance(values, list) else _Converted(values)

    async def resolve(self, info: Any) -> Any:
        """Return what the resolver returns or raises."""
        try:
            arguments = get_argument_values(self._field, self._node, info.variable_values.with_sources)
            result = self._resolve(None, info, **arguments)
            return await result if isinstance(result, Awaitable) else result
        except Exception as error:
            return error


def _definition_of(field: GraphQLField) -> StrawberryField:
    """Return Strawberry's definition of a field whose resolver takes only `self`, `info` and arguments."""
    definition = field.extensions.get("strawberry-definition")
    if not isinstance(definition, StrawberryField) or definition.extensions or definition.base_resolver is None:
        raise ValueError("the field is not a plain function")
    resolver = definition.base_resolver
    if resolver.self_parameter is None or resolver.parent_parameter or resolver.root_parameter:
        raise ValueError("the resolver asks for its object")
    return definition


def _arguments(
    field: GraphQLField, details: FieldDetailsList, executor: Executor[Any], operation: OperationDefinitionNode
) -> tuple[dict[str, Any], list[tuple[str, str, type, bool]]]:
    """Return the arguments that are left out, with their defaults, and of each variable: its name, the argument, the
    class of its values, and whether it may be null. Raises `ValueError` for any other argument.
    """
    node = details[0].node
    names = {name: _python_name(argument) for name, argument in field.args.items()}
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    declared = {definition.variable.name.value: definition for definition in operation.variable_definitions or ()}
    variables = []
    for name, value in given.items():
        if not isinstance(value, VariableNode):
            raise ValueError("the argument is no variable")
        definition = declared.pop(value.name.value)  # a variable of two arguments is not there the second time
        type_: Any = type_from_ast(executor.schema, definition.type)
        inner = type_.of_type if is_non_null_type(type_) else type_
        class_ = _CLASSES.get(getattr(inner, "name", ""))
        if class_ is None or definition.default_value is not None:
            raise ValueError("the variable is converted")
        variables.append((value.name.value, names[name], class_, inner is type_))
    if declared:
        raise ValueError("the answer depends on a variable")
    defaults = get_argument_values(field, node, executor.variable_values)
    constants = {names[name]: value for name, value in defaults.items() if name not in given}
    if not all(type(value) in _CONSTANTS for value in constants.values()):
        raise ValueError("a default is converted")
    return constants, variables


def _python_name(argument: Any) -> str:
    definition = argument.extensions.get("strawberry-definition")
    if not isinstance(definition, StrawberryArgument) or isinstance(definition.type, StrawberryMaybe):
        raise ValueError("the argument is converted")
    return str(definition.python_name)


def find_direct_call(executor: Executor[Any], find_plan: FindPlan) -> DirectCall | None:
    """Return the direct call of the executor's operation. None if it has none."""
    try:
        return DirectCall(executor, find_plan)
    except (ValueError, KeyError, GraphQLError):
        return None
