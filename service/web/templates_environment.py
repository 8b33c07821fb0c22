"""The templates of all pages: Jinja2 with autoescape, its filters and functions.

`pages.py` imports this file with the first page, because Jinja takes 0.03 seconds of the start.
"""

import json
import re
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.ext import Extension
from markupsafe import Markup

from service.clock import duration_in_words
from service.ids import new_id
from service.page_urls import BRANDING_PATH
from service.web.assets import asset_url


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


TEMPLATES = Environment(
    extensions=[_FormIds],
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
TEMPLATES.globals["asset"] = asset_url
TEMPLATES.globals["form_id"] = _form_id
TEMPLATES.globals["branding_path"] = BRANDING_PATH
TEMPLATES.filters["duration"] = duration_in_words
TEMPLATES.filters["date_time"] = _date_time
TEMPLATES.filters["as_json"] = _as_json
