"""Shows a refused form again on its page: with what was typed, the message at the field, and the focus on the field.

This works on the finished page, so that every form of the panel has it without code of its own: it finds the form that
was sent by its path and its hidden fields.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from urllib.parse import urlsplit

from starlette.datastructures import FormData

PROBLEM = "form-problem"
"""The HTML ID of the message, on the page as rendered and at the field."""

_IDENTITY = ("id", "session")  # hidden fields that say which of several forms with one action it is
_TICKED = ("checkbox", "radio")
_ARGUMENT = re.compile(r"`(?:\w+\.)?(\w+)`|'\$(\w+)'")  # as messages of the API and of GraphQL write it
_FIELDS = {  # the names of fields that differ from the arguments of the API
    "email": ("email", "newEmail"),
    "expiresAt": ("expires",),
    "names": ("groups",),
    "emails": ("email",),
}
_WORDS = {  # what a message without the name of an argument is about
    "address": ("email", "newEmail"),
    "email": ("email", "newEmail"),
    "external id": ("externalId",),
    "the name": ("name",),
}

_Edit = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class RefusedForm:
    """A form that was sent and refused."""

    path: str
    sent: FormData
    message: str
    field: str | None = None
    """The field that is wrong. None: it is found by the message."""


@dataclass(slots=True)
class _Tag:
    """A start tag and its place in the page."""

    name: str
    start: int
    end: int
    attributes: dict[str, str | None]

    def get(self, name: str) -> str:
        """Return the value of an attribute. Empty if it is absent."""
        return self.attributes.get(name) or ""

    def with_attributes(self, **changed: str | bool | None) -> _Edit:
        """Return the edit that sets attributes. True: without a value; False: takes the attribute away."""
        attributes: dict[str, object] = dict(self.attributes)
        attributes |= {name.replace("_", "-"): value for name, value in changed.items()}
        written = "".join(
            f" {name}" if value is None or value is True else f' {name}="{escape(str(value))}"'
            for name, value in attributes.items()
            if value is not False
        )
        return self.start, self.end, f"<{self.name}{written}>"


@dataclass(slots=True)
class _Field:
    """A field of a form. `end` is the place after its label, where the message goes."""

    tag: _Tag
    end: int
    content_end: int = 0
    options: list[_Tag] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.tag.get("name")

    @property
    def is_hidden(self) -> bool:
        return self.tag.get("type") == "hidden"

    @property
    def is_typed(self) -> bool:
        """Whether a person types into the field or chooses from it, which a message can be about."""
        return self.tag.name != "button" and not self.is_hidden and self.tag.get("type") not in _TICKED


@dataclass(slots=True)
class _Form:
    """A form of the page, with the `<details>` around it, which have to be open for it to be seen."""

    tag: _Tag
    around: list[_Tag]
    fields: list[_Field] = field(default_factory=list)

    def is_of(self, refused: RefusedForm) -> bool:
        """Whether this is the form that was sent."""
        if self.tag.get("method") != "post" or urlsplit(self.tag.get("action")).path != refused.path:
            return False
        actions = {one.tag.get("value") for one in self.fields if one.name == "action"} or {""}
        own = {one.name: one.tag.get("value") for one in self.fields if one.is_hidden and one.name in _IDENTITY}
        return refused.sent.get("action", "") in actions and all(
            value in refused.sent.getlist(name) for name, value in own.items()
        )

    def faulty(self, refused: RefusedForm) -> _Field | None:
        """Return the field that the message is about. None if it is about no single field."""
        typed = {one.name: one for one in self.fields if one.is_typed}
        found = _ARGUMENT.search(refused.message)
        argument = (found[1] or found[2]) if found else None
        words = [names for word, names in _WORDS.items() if word in refused.message.lower()]
        candidates = [
            *([refused.field] if refused.field else []),
            *((argument, *_FIELDS.get(argument, ())) if argument else ()),
            *(name for names in words for name in names),
        ]
        named = next((typed[name] for name in candidates if name in typed), None)
        return named or (next(iter(typed.values())) if len(typed) == 1 else None)


class _Forms(HTMLParser):
    """Collects the forms of a page and the place of the page's own message."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[_Form] = []
        self.notice: tuple[int, int] | None = None
        self._details: list[_Tag] = []
        self._form: _Form | None = None
        self._labelled: list[_Field] | None = None
        self._in_notice: int | None = None
        self._line_starts = [0, *(found.end() for found in re.finditer("\n", page))]
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        start = self._position()
        found = _Tag(tag, start, start + len(self.get_starttag_text() or ""), dict(attrs))
        if found.get("id") == PROBLEM:
            self._in_notice = start
        elif tag == "details":
            self._details.append(found)
        elif tag == "label":
            self._labelled = []
        elif tag == "form":
            self._form = _Form(found, list(self._details))
            self.forms.append(self._form)
        elif self._form is not None and tag in ("input", "textarea", "select", "button"):
            one = _Field(found, found.end)
            self._form.fields.append(one)
            if self._labelled is not None:
                self._labelled.append(one)
        elif self._form is not None and tag == "option":
            self._form.fields[-1].options.append(found)

    def handle_endtag(self, tag: str) -> None:
        start, end = self._position(), self._position() + len(f"</{tag}>")
        if tag == "p" and self._in_notice is not None:
            self.notice, self._in_notice = (self._in_notice, end), None
        elif tag == "details":
            self._details.pop()
        elif tag == "form":
            self._form = None
        elif tag in ("textarea", "select") and self._form is not None:
            self._form.fields[-1].content_end = start
            self._form.fields[-1].end = end
        elif tag == "label":
            for one in self._labelled or ():
                one.end = end
            self._labelled = None

    def _position(self) -> int:
        line, offset = self.getpos()
        return self._line_starts[line - 1] + offset


def show_again(page: str, refused: RefusedForm) -> str:
    """Return the page with the form as it was sent and the message in it. Unchanged if the page does not have the form."""
    found = _Forms(page)
    form = next((form for form in found.forms if form.is_of(refused)), None)
    if form is None or found.notice is None:
        return page
    start, end = found.notice
    message = page[start:end]
    faulty = form.faulty(refused)
    edits: list[_Edit] = [(start, end, ""), *(one.with_attributes(open=True) for one in form.around)]
    for one in form.fields:
        edits += _as_sent(one, refused.sent, is_faulty=one is faulty)
    if faulty is None:
        # Without a field to go to, the message itself gets the focus.
        focusable = message.replace(f'id="{PROBLEM}"', f'id="{PROBLEM}" tabindex="-1" autofocus', 1)
        edits.append((form.tag.end, form.tag.end, focusable))
    else:
        edits.append((faulty.end, faulty.end, message))
    return _edited(page, edits)


def _as_sent(one: _Field, sent: FormData, *, is_faulty: bool) -> Sequence[_Edit]:
    """Return the edits that show a field as it was sent, and mark it if it is wrong."""
    marks: dict[str, str | bool | None] = {}
    if is_faulty:
        described_by = f"{PROBLEM} {one.tag.get('aria-describedby')}".strip()
        marks = {"aria_invalid": "true", "aria_describedby": described_by, "autofocus": True}
    values = [str(value) for value in sent.getlist(one.name)]
    kind = one.tag.get("type")
    if one.is_hidden or one.tag.name == "button":
        return []
    if kind == "file":  # a browser keeps no file for a page that is shown again
        return [one.tag.with_attributes(**marks)] if marks else []
    if kind in _TICKED:
        return [one.tag.with_attributes(checked=one.tag.get("value") in values)]
    if not values or kind == "file":  # no page can fill in a file
        return [one.tag.with_attributes(**marks)] if marks else []
    if one.tag.name == "textarea":
        dropped = "\n" if values[0].startswith(("\r", "\n")) else ""  # HTML drops a line end right after the tag
        return [one.tag.with_attributes(**marks), (one.tag.end, one.content_end, dropped + escape(values[0]))]
    if one.tag.name == "select":
        chosen = [option.with_attributes(selected=option.get("value") in values) for option in one.options]
        return [one.tag.with_attributes(**marks), *chosen]
    return [one.tag.with_attributes(value=values[0], **marks)]


def _edited(page: str, edits: Sequence[_Edit]) -> str:
    """Return the page with all edits made. No two of them overlap."""
    for start, end, text in sorted(edits, reverse=True):
        page = page[:start] + text + page[end:]
    return page
