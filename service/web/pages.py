"""Renders HTML pages: Jinja2 with autoescape, and the strict headers. Every page works without JavaScript."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.ext import Extension
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from service.ids import new_id
from service.settings import Settings
from service.web.assets import asset_url
from service.web.security import page_headers


def _date_time(moment: datetime) -> str:
    """Return a time for a reader, in UTC: the server does not know the browser's time zone."""
    return f"{moment.day} {moment:%B %Y, %H:%M}\N{NO-BREAK SPACE}UTC"


def _as_json(value: object, indent: int | None = None) -> str:
    """Return JSON for a reader, with every character as it is. Jinja's `tojson` escapes apostrophes and umlauts."""
    return json.dumps(value, indent=indent, ensure_ascii=False)


class _FormIds(Extension):
    """Gives every form of the panel an ID of its own, by which `web/admin/page.py` knows a form that is sent twice."""

    _FORM = re.compile(r'<form\b[^>]*\bmethod="post"[^>]*>')

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Insert the ID after the tag of each form in the panel's templates."""
        if name is None or not name.startswith("admin/"):
            return source
        return self._FORM.sub(r"\g<0>{{ form_id() }}", source)


def _form_id() -> Markup:
    return Markup('<input type="hidden" name="formId" value="{}">').format(new_id())


_TEMPLATES = Environment(
    extensions=[_FormIds],
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_TEMPLATES.globals["asset"] = asset_url
_TEMPLATES.globals["form_id"] = _form_id
_TEMPLATES.filters["date_time"] = _date_time
_TEMPLATES.filters["as_json"] = _as_json


def page(
    settings: Settings,
    template: str,
    /,
    *,
    status: int = 200,
    checks_origin: bool = False,
    scripts: bool = False,
    leads_to: str | None = None,
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> Response:
    """Render a template of `templates/` and return the response.

    `checks_origin`: the page has a form that only works when sent from this origin. `scripts`: the page loads a script
    of `static/`. `leads_to`: a URL beside the application's that a form may redirect to.
    """
    body = _TEMPLATES.get_template(template).render(values)
    strict = page_headers(settings, checks_origin=checks_origin, scripts=scripts, leads_to=leads_to)
    return HTMLResponse(body, status, {**strict, **(headers or {})})
