"""The operator's table of log events is what the code logs: every event with its level and its fields."""

import ast
from collections.abc import Iterator

from tests.processes import ROOT
from tests.readme.document import table

MODULES = sorted(path for path in (ROOT / "service").rglob("*.py") if "samples" not in path.parts)
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
TRACEBACK = {"exc_info": "exception"}  # the name under which the line has it


def test_table_has_every_event_with_its_level_and_fields() -> None:
    written = {
        event: (level, frozenset(fields.split(", ")))
        for event, level, fields, _ in table("Logs and the reference", "Event")
    }
    logged: dict[str, tuple[str, frozenset[str]]] = {}
    for event, level, fields in events():
        known_level, known_fields = logged.get(event, (level, frozenset()))
        assert known_level == level, f"{event} has two levels"
        logged[event] = (level, known_fields | fields)

    assert written == logged


def events() -> Iterator[tuple[str, str, frozenset[str]]]:
    """Every call of a logger: the event, the level, and the names of the fields."""
    for path in MODULES:
        tree = ast.parse(path.read_text())
        for function in ast.walk(tree):
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for call in ast.walk(function):
                    match call:
                        case ast.Call(func=ast.Attribute(ast.Name("_log"), level), args=[event]) if level in LEVELS:
                            assert isinstance(event, ast.Constant), f"{path}:{call.lineno}: an event is a constant"
                            yield str(event.value), level, frozenset(_fields(call, function, tree))
                        case _:
                            pass


def _fields(call: ast.Call, function: ast.FunctionDef | ast.AsyncFunctionDef, module: ast.Module) -> Iterator[str]:
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield TRACEBACK.get(keyword.arg, keyword.arg)
        else:
            yield from _keys_of(keyword.value, function)
            yield from _keys_of_keyword_arguments(keyword.value, function, module)


def _keys_of(spread: ast.expr, function: ast.AST) -> Iterator[str]:
    """The keys of a dictionary that the function has given this name."""
    assert isinstance(spread, ast.Name)
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=ast.Dict(keys)) if name == spread.id:
                yield from (str(ast.literal_eval(key)) for key in keys if key is not None)
            case _:
                pass


def _keys_of_keyword_arguments(
    spread: ast.expr, function: ast.FunctionDef | ast.AsyncFunctionDef, module: ast.Module
) -> Iterator[str]:
    """The keys that the function takes as `**name: Unpack[SomeTypedDict]`."""
    match spread, function.args.kwarg:
        case ast.Name(name), ast.arg(arg=taken, annotation=ast.Subscript(slice=ast.Name(type_name))) if name == taken:
            for node in module.body:
                if isinstance(node, ast.ClassDef) and node.name == type_name:
                    fields = [field.target for field in node.body if isinstance(field, ast.AnnAssign)]
                    yield from (field.id for field in fields if isinstance(field, ast.Name))
        case _:
            pass


def test_every_logger_is_one_that_is_looked_at() -> None:
    """A logger under another name would be missed above."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Assign(targets=[target], value=ast.Call(func=ast.Attribute(attr="get_logger"))):
                    assert isinstance(target, ast.Name), path
                    assert target.id == "_log", path
                case _:
                    pass
