"""The import in the panel: a file is sent, a page says what it would do, and then it is imported."""

import re
from collections.abc import Callable, Iterator

import httpx2
import pytest

from service.accounts.lookup import find_by_id
from service.accounts.seats import count_seats, set_seat_limit
from service.clock import now
from service.database import Statement, write
from service.web.admin.user_import import MAX_FILE, MAX_ROWS
from tests.actions import TESTER, count
from tests.programs import Programs
from tests.site import Site, new_user_id
from tests.web.admin.panel import FROM_HERE, Panel, words
from tests.web.admin.test_proof import confirm, grow_old

IMPORT = "/admin/users/import"


@pytest.fixture(params=["site", "postgres_site"])
def either_panel(request: pytest.FixtureRequest, programs: Programs) -> Iterator[Panel]:
    panel = Panel.signed_in(request.getfixturevalue(request.param))
    with panel.http:
        yield panel


def send(panel: Panel, content: bytes | str) -> httpx2.Response:
    data = content.encode() if isinstance(content, str) else content
    return panel.http.post(
        IMPORT, data={"action": "preview"}, files={"file": ("users.csv", data, "text/csv")}, headers=FROM_HERE
    )


def preview(panel: Panel, content: bytes | str) -> tuple[str, str]:
    """The page that says what the file would do, and the ID under which the file is kept."""
    sent = send(panel, content)
    assert sent.status_code == 303, words(sent)
    page = panel.http.get(sent.headers["location"])
    assert page.status_code == 200, words(page)
    [file_id] = re.findall(r'name="file_id" value="([^"]*)"', page.text)
    return words(page), file_id


def fact(page: str, name: str) -> str:
    [text] = re.findall(rf"<dt>{name}</dt><dd>(.*?)</dd>", page)
    return str(text)


def press_import(panel: Panel, file_id: str, **fields: str) -> httpx2.Response:
    return panel.post(IMPORT, action="import", file_id=file_id, **fields)


def test_preview_says_what_the_import_then_does(either_panel: Panel) -> None:
    panel, known = either_panel, new_user_id()
    _, file_id = preview(panel, f"external_id,email\n{known},{known}@example.com\n")
    assert press_import(panel, file_id).status_code == 303
    before = panel.site.call(lambda _: count("users"))
    fresh = [new_user_id() for _ in range(3)]
    lines = ["external_id,metadata", f'{known},"{{""plan"": ""gold""}}"', *(f"{user_id}," for user_id in fresh)]
    page, file_id = preview(panel, "\ufeff" + "\r\n".join(lines))
    assert (fact(page, "Users created"), fact(page, "Users changed"), fact(page, "Rows refused")) == ("3", "1", "0")
    assert fact(page, "Seats").startswith("3 needed")
    assert panel.site.call(lambda _: count("users")) == before, "nothing is changed yet"

    done = press_import(panel, file_id)
    told = words(panel.http.get(done.headers["location"]))
    assert (fact(told, "Created"), fact(told, "Changed"), fact(told, "Unchanged")) == ("3", "1", "0")
    user = panel.site.call(lambda _: find_by_id(known))
    assert user
    assert user.metadata == '{"plan":"gold"}'
    assert panel.site.call(lambda _: count("users")) == before + 3
    assert "imported users" in panel.page("/admin/audit", action="users.imported")
    assert press_import(panel, file_id).status_code == 404, "the file is not kept once it is imported"


def test_refused_rows_are_listed_and_can_be_left_out(panel: Panel) -> None:
    good = new_user_id()
    page, file_id = preview(panel, f"external_id,email\n{good},\nx,no address\n")
    assert fact(page, "Rows refused") == "1"
    assert "is not a well-formed email address" in page
    assert '<th scope="row">3</th>' in page
    refused = press_import(panel, file_id)
    assert refused.status_code == 422
    assert "Nothing was imported" in words(refused)
    assert f'value="{file_id}"' in words(refused), "the file is still there"
    done = press_import(panel, file_id, skip="1")
    told = words(panel.http.get(done.headers["location"]))
    assert (fact(told, "Created"), fact(told, "Refused")) == ("1", "1")
    assert "is not a well-formed email address" in told


def test_missing_seats_are_told_before_and_the_file_is_kept(panel: Panel) -> None:
    used = panel.site.call(lambda _: count_seats()).used
    panel.site.call(lambda _: set_seat_limit(used + 1, TESTER))
    try:
        page, file_id = preview(panel, f"external_id\n{new_user_id()}\n{new_user_id()}\n")
        assert "The import takes 2 seats, and 1 of" in page
        assert fact(page, "Seats") == "2 needed, 1 free"
        refused = press_import(panel, file_id)
        assert refused.status_code == 409
        assert f'value="{file_id}"' in words(refused)
    finally:
        panel.site.call(lambda _: set_seat_limit(None, TESTER))
    assert press_import(panel, file_id).status_code == 303


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "Choose a file that is not empty"),
        (b"external_id\n", "The file has 0 rows"),
        (b"external_id,name\nx,y\n", "unknown column: 'name'"),
        ("external_id\nzo\u00eb\n".encode("latin-1"), "not CSV in UTF-8"),
        (b"external_id\n" + b"x" * MAX_FILE, "larger than 2 MB"),
        (b"external_id\n" + b"x\n" * (MAX_ROWS + 1), "has 10,001 rows"),
    ],
    ids=["empty", "header", "column", "encoding", "large", "rows"],
)
def test_file_that_cannot_be_imported_is_refused_at_its_field(panel: Panel, content: bytes, problem: str) -> None:
    refused = send(panel, content)
    assert refused.status_code == 422
    page = words(refused)
    assert problem in page
    assert re.search(r'<input type="file"[^>]*aria-invalid="true"', page)
    assert "UploadFile" not in page


def test_larger_request_is_not_read(panel: Panel) -> None:
    assert send(panel, b"x" * (3 * MAX_FILE)).status_code == 413


def test_file_is_kept_for_the_session_that_sent_it_and_for_ten_minutes(
    panel: Panel, open_panel: Callable[..., Panel]
) -> None:
    _, file_id = preview(panel, f"external_id\n{new_user_id()}\n")
    other = open_panel("other-boss@example.com")
    assert other.get(IMPORT, file=file_id).status_code == 404
    assert press_import(other, file_id).status_code == 404
    _, second = preview(panel, f"external_id\n{new_user_id()}\n")
    assert panel.get(IMPORT, file=file_id).status_code == 404, "a session keeps one file"
    assert panel.get(IMPORT, file=second).status_code == 200
    panel.site.call(lambda _: write(Statement("UPDATE shown_secrets SET expires_at = $1 WHERE id = $2"), now(), second))
    assert "Choose it again" in words(panel.get(IMPORT, file=second))


def test_export_for_an_import_changes_nothing_when_it_is_imported(panel: Panel) -> None:
    _, file_id = preview(panel, f'external_id,metadata\n{new_user_id()},"{{""note"": ""=1+1""}}"\n')
    press_import(panel, file_id)
    exported = panel.get("/admin/users/all.csv")
    assert exported.headers["content-type"] == "text/csv; charset=utf-8"
    assert '""note"":""=1+1""' in exported.text
    page, _ = preview(panel, exported.content)
    assert (fact(page, "Users created"), fact(page, "Users changed"), fact(page, "Rows refused")) == ("0", "0", "0")


def test_export_for_an_import_needs_a_fresh_proof(open_panel: Callable[..., Panel], site: Site) -> None:
    panel = open_panel(email := f"{new_user_id()}@example.com")
    grow_old(site, email)
    page = panel.get("/admin/users/all.csv")
    assert page.status_code == 403
    assert confirm(panel, page).headers["location"] == "/admin/users/all.csv"
