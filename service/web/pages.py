"""HTML pages: Jinja2 with autoescape, the strict headers. Every page works without scripts; a few are nicer with one."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from service.settings import Settings
from service.web.assets import asset_url
from service.web.security import page_headers


def _date_time(moment: datetime) -> str:
    """For people, in UTC: without a script the server does not know their zone."""
    return f"{moment.day} {moment:%B %Y, %H:%M}\N{NO-BREAK SPACE}UTC"


def _as_json(value: object, indent: int | None = None) -> str:
    """For people: every character as it is. Jinja's own `tojson` is for scripts, and escapes apostrophes and umlauts."""
    return json.dumps(value, indent=indent, ensure_ascii=False)


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_TEMPLATES.globals["asset"] = asset_url
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
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> Response:
    """A page of `templates/`, filled in.

    `checks_origin`: it has a form that only works when sent from this origin. `scripts`: it has a script of `static/`.
    """
    body = _TEMPLATES.get_template(template).render(values)
    strict = page_headers(settings, checks_origin=checks_origin, scripts=scripts)
    return HTMLResponse(body, status, {**strict, **(headers or {})})
