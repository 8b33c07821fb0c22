"""What holds of the code as a whole, besides the layers that import-linter keeps."""

import ast
import re
from pathlib import Path

from service.audit.actions import Action
from service.errors import SignInRefused
from service.refusal_texts import SignInErrorCode
from tests.processes import ROOT

# Samples are shown to integrators. The service does not import them.
MODULES = sorted(path for path in (ROOT / "service").rglob("*.py") if "samples" not in path.parts)
WRITTEN_BY_HAND = [path for path in MODULES if "migrations" not in path.parts]
READS_THE_ENVIRONMENT = {
    "service/setting_sources.py",  # the one reader
    "service/cli/serving.py",  # hands its own port on to its worker processes
    "service/metrics.py",  # the client library's own variable
    "service/http_server/systemd.py",  # the variables of systemd
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_modules_are_found() -> None:
    assert len(WRITTEN_BY_HAND) > 80


def test_every_module_says_what_it_is_for() -> None:
    silent = [path for path in WRITTEN_BY_HAND if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_only_the_settings_read_the_environment() -> None:
    readers = {name_of(path) for path in MODULES if "environ" in _names_in(path) or "getenv" in _names_in(path)}
    assert readers <= READS_THE_ENVIRONMENT


def _names_in(path: Path) -> set[str]:
    return {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}


def test_files_stay_small() -> None:
    """A file holds one idea; one that grows past this holds two."""
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in WRITTEN_BY_HAND}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_everything_the_audit_log_can_say_is_said_somewhere() -> None:
    text = "".join(path.read_text() for path in MODULES if path.name != "actions.py")
    assert [action.name for action in Action if f"Action.{action.name}" not in text] == []


def test_every_refusal_has_words_and_a_reference_of_its_own() -> None:
    refusals = [SignInRefused(code) for code in SignInErrorCode]
    assert len({refusal.message for refusal in refusals}) == len(SignInErrorCode)
    assert len({refusal.reference for refusal in refusals}) == len(SignInErrorCode)
    for refusal in refusals:
        assert refusal.message.endswith(".")
        assert len(refusal.reference) == 10
        assert not set(refusal.reference) & set("01IOU")


# What the program puts into its SQL: constants, columns and numbers of its own. Values are arguments, always.
PARTS_OF_STATEMENTS = {
    "service/accounts/search.py": {"FEW + 1"},
    "service/accounts/search_index.py": {"_ADD_NEW", "_REMOVE_OLD", "name"},
    "service/audit/refusals.py": {"_NETWORK", "KEPT_OF_NETWORK", "KEPT"},
    "service/database/many_rows.py": {"insert", "values", "on_conflict"},  # `ManyRows` is made of literals
    "service/accounts/seats.py": {
        "_USED",
        "(column := f'{status}_{origin}'.lower())",
        "column",
        "status",
        "origin",
        "_LAPSED",
    },
    "service/email_login/allowances.py": {"_OVER"},
    "service/database/purging.py": {"table", "key", "column"},  # `purge_expired` is called with literals
    "service/paging.py": {
        *(
            "columns",
            "self.source",
            "self.conditions.where",
            "conditions.where",
            "order.column",
            "order.value",
            "order.id_column",
        ),
        *("direction", "id_direction", "null_order", "limit"),
    },
    "service/sessions/administration.py": {"ADMIN_RIGHTS", "LIVE", "SESSION_COLUMNS"},
    "service/sessions/inserting.py": {"_COLUMNS"},
    "service/sessions/lifecycle.py": {"SESSION_COLUMNS", "LIVE"},
    "service/sessions/listing.py": {
        "ranked",
        "size + 1",
        "live",
        "_LIVE[with_admin_rights]",
        "_placeholders(len(serials))",
    },
}


def test_no_statement_is_built_from_text_of_a_request() -> None:
    for path in MODULES:
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        for call in calls:
            match call:
                case ast.Call(func=ast.Name(id="Statement"), args=[sql, *_]):
                    put_in = {ast.unparse(part.value) for part in ast.walk(sql) if isinstance(part, ast.FormattedValue)}
                    assert put_in <= PARTS_OF_STATEMENTS.get(name_of(path), set()), f"{name_of(path)}:{call.lineno}"
                case ast.Call(
                    func=ast.Name(
                        id="fetch" | "fetch_indexed" | "fetch_limited" | "fetch_one" | "fetch_short" | "write"
                    ),
                    args=[statement, *_],
                ):
                    assert isinstance(statement, (ast.Name, ast.Subscript)), f"{name_of(path)}:{call.lineno}"
                case ast.Call(func=ast.Name(id="purge_expired"), args=[*names, _]):
                    assert all(isinstance(name, ast.Constant) for name in names), f"{name_of(path)}:{call.lineno}"
                case _:
                    pass


REASONS_FOR_SQL = ("every request", "atomic", "beyond the ORM")


def test_every_file_with_sql_says_why_it_is_written_by_hand() -> None:
    """The rule is in the docstring of `service/database/statements.py`."""
    for path in WRITTEN_BY_HAND:
        tree = ast.parse(path.read_text())
        calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        has_sql = any(isinstance(call, ast.Name) and call.id == "Statement" for call in calls)
        _, says, reasons = " ".join((ast.get_docstring(tree) or "").split()).partition("SQL by hand: ")
        if name_of(path) != "service/database/statements.py":
            assert has_sql == bool(says), name_of(path)
            assert not has_sql or reasons.startswith(REASONS_FOR_SQL), name_of(path)


def test_every_package_says_in_a_paragraph_what_it_is_for_and_what_it_may_import() -> None:
    for path in WRITTEN_BY_HAND:
        if path.name == "__init__.py":
            docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
            assert "import" in docstring, name_of(path)


# Words that leave the subject open, and metaphors. The schema, the messages, the pages and the code use plain terms.
TELL_TALE = re.compile(
    r"\b(nobody|somebody|whoever|for ever|anew|none of|stands|desk|door|keeper|courier|bell|carrier)\b", re.IGNORECASE
)
# Where they remain. Comments of columns stay as the migrations wrote them; a column is named `carrier`.
_COLUMN = ["s.carrier <> 'COOKIE'", "s.carrier, s.secret_id", 'row["carrier"]']
_OPENING_COLUMNS = ["opened_as_admin, carrier, secret_id"]
_SERIAL = "never used twice, so a session outlives no user whose id is made anew"
_REQUEST_ID = "128 random bits, known to whoever asked"
_CODE_HASH = "keyed, so that nobody finds 6 digits by trying them all"
_HOLDER = "serial of the invited user, 0 for whoever sets the service up"
ALLOWED_PLACES: dict[str, list[str]] = {
    "service/accounts/models.py": [_SERIAL],
    "service/email_login/models.py": [_REQUEST_ID, _CODE_HASH, _HOLDER],
    "service/migrations/0001_initial.py": [_SERIAL, "('carrier', fields.CharEnumField("],
    "service/migrations/0003_email_login.py": [_REQUEST_ID, _CODE_HASH, _HOLDER],
    "service/sessions/inserting.py": _OPENING_COLUMNS,
    "service/sessions/lifecycle.py": _COLUMN,
    "service/sessions/models.py": ["A dead row is nobody's", "carrier = fields.CharEnumField("],
}


def test_texts_name_their_subject_and_use_no_metaphors() -> None:
    found: dict[str, list[str]] = {}
    for path in sorted([*(ROOT / "service").rglob("*"), ROOT / "schema.graphql"]):
        if path.is_file() and "__pycache__" not in path.parts:
            try:
                text = " ".join(path.read_text(encoding="utf-8").split())
            except UnicodeDecodeError:
                continue  # an image or a font
            for place in ALLOWED_PLACES.get(name_of(path), []):
                text = text.replace(place, "")
            if words := TELL_TALE.findall(text):
                found[name_of(path)] = words
    assert found == {}


def test_every_allowed_place_is_still_there() -> None:
    for name, places in ALLOWED_PLACES.items():
        text = " ".join((ROOT / name).read_text(encoding="utf-8").split())
        assert [place for place in places if place not in text] == [], name
