"""The page that imports users from a file: first it says what the import would do, then it does it.

Between the two steps the file is kept like a new secret: encrypted, for ten minutes, and for the session that sent it.
"""

import csv
import io
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from service.accounts.directory import record_export
from service.accounts.exporting import export_rows
from service.accounts.import_plan import ImportPlan, plan_import
from service.accounts.import_rows import COLUMNS, read_rows
from service.accounts.importing import import_users
from service.errors import BadUserInput
from service.sessions.shown_once import forget_shown, keep_to_show, secret_to_show
from service.web.admin.exports import csv_file
from service.web.admin.page import AdminPage, FormRefused, show_problem, text_of
from service.web.security import see_other

USER_IMPORT = "/admin/users/import"
EXPORT = "/admin/users/all.csv"
MAX_FILE = 2 * 1024 * 1024  # bytes
MAX_ROWS = 10_000  # which take some seconds: the browser waits for the page
MAX_BODY = 2 * MAX_FILE
"""The largest request in bytes: more than a file may have, so that the page can say that a file is too large."""

_FILE, _RESULT = "import-file", "import-result"
_LISTED = 50  # refused rows


@dataclass(frozen=True, slots=True)
class Preview:
    """What an import would do, and the first rows that it would refuse, with line and reason."""

    plan: ImportPlan
    refused: list[tuple[int, str]]


async def show_import(admin_page: AdminPage, problem: str | None = None, status: int = 200) -> Response:
    """`GET /admin/users/import`: the form; with `file`, what that file would do; with `result`, what an import did.

    With a `problem`, also the answer to a refused form.
    """
    file_id = text_of(admin_page.sent, "file_id") if admin_page.sent else admin_page.asked("file")
    kept = await _kept(admin_page, file_id or "", _FILE)
    if file_id and kept is None and problem is None:
        return await show_problem(admin_page, _GONE, 404)
    result = await _kept(admin_page, admin_page.asked("result") or "", _RESULT)
    return admin_page.show(
        "import.html",
        status=status,
        problem=problem,
        file_id=file_id if kept is not None else None,
        preview=await _preview(kept.encode()) if kept is not None else None,
        result=json.loads(result) if result is not None else None,
        columns=COLUMNS,
        max_megabytes=MAX_FILE // 1024**2,
        max_rows=MAX_ROWS,
        seat_usage=(await admin_page.run("seat_usage"))["seatUsage"],
    )


async def change_import(admin_page: AdminPage, form: FormData) -> Response:
    """`POST /admin/users/import`: keep the file that was sent, or import a file that was kept."""
    if text_of(form, "action") == "import":
        return await _import(admin_page, form)
    return await _keep(admin_page, form)


async def export_all(admin_page: AdminPage) -> Response:
    """`GET /admin/users/all.csv`: all users, in a file that can be imported."""
    admin_page.caller.require_fresh_proof()
    await record_export("csv", {}, admin_page.caller.actor)
    return csv_file("users", _lines())


async def go_on_to_export_all(admin_page: AdminPage, _form: FormData) -> Response:
    """`POST /admin/users/all.csv`: the page that asked for a proof sends this."""
    admin_page.caller.require_fresh_proof()
    return see_other(admin_page.settings, EXPORT)


_GONE = "The file is not kept any more, because ten minutes have passed or it was imported. Choose it again."


async def _keep(admin_page: AdminPage, form: FormData) -> Response:
    upload = form.get("file")
    content = await upload.read(MAX_FILE + 1) if isinstance(upload, UploadFile) else b""
    if not content:
        raise FormRefused("Choose a file that is not empty.", "file")
    if len(content) > MAX_FILE:
        raise FormRefused(
            f"The file is larger than {MAX_FILE // 1024**2} MB. Import it with the command `doorcode users import`, or in parts.",
            "file",
        )
    try:
        rows = sum(1 for _ in read_rows(content))
    except BadUserInput as problem:
        raise FormRefused(problem.message, "file") from None
    if not 0 < rows <= MAX_ROWS:
        raise FormRefused(
            f"The file has {rows:,} rows. At least 1 and at most {MAX_ROWS:,} can be imported here.", "file"
        )
    session, cipher = admin_page.caller.require_session(), admin_page.instance.cipher
    kept = await keep_to_show(content.decode("utf-8-sig"), _FILE, session, cipher, replaces_others=True)
    return admin_page.go(USER_IMPORT, file=kept)


async def _import(admin_page: AdminPage, form: FormData) -> Response:
    by, instance = admin_page.caller.require_admin_in_person(), admin_page.instance
    file_id, session = text_of(form, "file_id"), admin_page.caller.require_session()
    kept = await _kept(admin_page, file_id, _FILE)
    if kept is None:
        raise FormRefused(_GONE, status=404)
    refused: list[tuple[int, str]] = []
    skip = (lambda line, _, reason: refused.append((line, reason))) if text_of(form, "skip") else None
    result = await import_users(kept.encode(), by, instance.subject_hashes, lambda *_: None, skip_bad=skip)
    told = json.dumps({**asdict(result), "rows": refused[:_LISTED]})
    shown = await keep_to_show(told, _RESULT, session, instance.cipher)
    await forget_shown(file_id, session)
    return admin_page.go(USER_IMPORT, result=shown)


async def _kept(admin_page: AdminPage, kept_id: str, kind: str) -> str | None:
    kept = await secret_to_show(kept_id, admin_page.caller.require_session(), admin_page.instance.cipher)
    return kept[1] if kept is not None and kept[0] == kind else None


async def _preview(content: bytes) -> Preview:
    refused: list[tuple[int, str]] = []

    def note(line: int, _: dict[str, str], reason: str) -> None:
        if len(refused) < _LISTED:
            refused.append((line, reason))

    return Preview(await plan_import(content, note, lambda *_: None), refused)


async def _lines() -> AsyncIterator[str]:
    yield _csv([list(COLUMNS)])
    async for rows in export_rows():
        yield _csv(rows)


def _csv(rows: list[list[str]]) -> str:
    """Return the lines exactly as the command writes them: a cell that was changed for spreadsheets would be imported."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()
