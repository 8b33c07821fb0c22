"""A form that is refused is shown again as it was sent, with the message and the focus at the field that is wrong."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest

from tests.site import Site, new_user_id
from tests.web.admin.panel import AUTHENTICATION, DEBUGGER, USER, USERS, Panel, sign_in_by_code, words

RECOMMENDED = f"{AUTHENTICATION}/recommended"
BRANDING = "/admin/branding"
API_KEYS, SEATS = "/admin/api-keys", "/admin/seats"
POLICY = {"action": "policy", "clockSkewSeconds": "60", "issuer": "typed-issuer", "singleUse": "1"}


@dataclass
class ShownForm:
    """A form of a page: its fields, and whether a closed `<details>` hides it."""

    attributes: Mapping[str, str | None]
    hidden: bool
    fields: dict[str, dict[str, str | None]] = field(default_factory=dict)
    actions: set[str] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)
    message: str = ""

    @property
    def path(self) -> str:
        return str(self.attributes.get("action")).partition("?")[0]


class Reader(HTMLParser):
    """Reads the forms of a page, as a browser would."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[ShownForm] = []
        self._closed: list[bool] = []
        self._inside: str | None = None
        self._form: ShownForm | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "details":
            self._closed.append("open" not in given)
        elif tag == "form" and given.get("method") == "post":
            self._form = ShownForm(given, any(self._closed))
            self.forms.append(self._form)
        elif self._form and tag in ("input", "textarea", "select", "button"):
            name = str(given.get("name"))
            if name == "action":
                self._form.actions.add(str(given.get("value")))
            elif given.get("type") != "hidden":
                self._form.fields[name] = given
                self._inside = name if tag == "textarea" else None
        elif self._form and tag == "option" and "selected" in given and self._form.fields:
            self._form.texts[list(self._form.fields)[-1]] = str(given.get("value"))
        elif self._form and tag == "p" and given.get("id") == "form-problem":
            self._inside = "form-problem"

    def handle_endtag(self, tag: str) -> None:
        if tag == "details":
            self._closed.pop()
        elif tag == "form":
            self._form = None
        elif tag in ("textarea", "p"):
            self._inside = None

    def handle_data(self, data: str) -> None:
        if self._form and self._inside == "form-problem":
            self._form.message += data
        elif self._form and self._inside:
            text = self._form.texts.get(self._inside)
            self._form.texts[self._inside] = data.removeprefix("\n") if text is None else text + data


def user_of(site: Site) -> str:
    user_id = new_user_id()
    sign_in_by_code(site, user_id, email=f"{user_id}@example.com")
    return user_id


@dataclass(frozen=True)
class Case:
    """A form that is refused: what is sent, and the field that the message is about. None: the form as a whole."""

    path: str
    fields: Mapping[str, str]
    faulty: str | None

    @property
    def name(self) -> tuple[str, str]:
        return self.path, self.fields.get("action", "")


CASES = [
    Case(SEATS, {"limit": "many"}, "limit"),
    Case(DEBUGGER, {"code": " "}, "code"),
    Case(BRANDING, {"name": "typed", "accentColor": "blue"}, "accentColor"),
    Case(BRANDING, {"name": "typed", "supportEmail": "no address"}, "supportEmail"),
    Case(BRANDING, {"name": "typed", "supportUrl": "ftp://typed.example"}, "supportUrl"),
    Case(API_KEYS, {"name": "", "scope": "ADMIN"}, "name"),
    Case(API_KEYS, {"name": "typed-name", "scope": "USERS", "expires": "2001-01-01"}, "expires"),
    Case(API_KEYS, {"name": "typed-name", "scope": "USERS", "expires": "soon"}, "expires"),
    Case(USERS, {"action": "invite", "email": "no address", "role": "ADMIN"}, "email"),
    Case(USERS, {"action": "invite", "email": "boss@example.com"}, "email"),
    Case(USERS, {"action": "invite", "email": "no address\nnone either"}, "email"),
    Case(USERS, {"action": "create", "externalId": "$USER", "newEmail": "no address"}, "newEmail"),
    Case(USERS, {"action": "create", "externalId": "typed", "accessUntil": "soon"}, "accessUntil"),
    Case(USERS, {"action": "create", "externalId": "null", "newEmail": "typed@example.com"}, "externalId"),
    Case(USERS, {"action": "deactivate", "confirm": "typed"}, None),
    Case(USERS, {"action": "reactivate", "confirm": "typed"}, None),
    Case(USER, {"action": "update", "id": "$USER", "email": "no address", "externalId": "typed"}, "email"),
    Case(USER, {"action": "update", "id": "$USER", "email": "boss@example.com", "externalId": "typed"}, "email"),
    Case(USER, {"action": "update", "id": "$USER", "accessUntil": "soon", "accessUntilBefore": ""}, "accessUntil"),
    Case(USER, {"action": "set-groups", "id": "$USER", "groups": "\ntyped\n" + "x" * 200}, "groups"),
    Case(USER, {"action": "delete", "id": "$USER", "confirmation": "typed", "revokeCodes": "1"}, "confirmation"),
    Case(USER, {"action": "erase", "id": "$USER", "confirmation": "typed"}, "confirmation"),
    Case(AUTHENTICATION, {**POLICY, "clockSkewSeconds": "a minute"}, "clockSkewSeconds"),
    Case(AUTHENTICATION, {**POLICY, "clockSkewSeconds": "301"}, "clockSkewSeconds"),
    Case(AUTHENTICATION, {**POLICY, "maxLifetimeSeconds": "0"}, "maxLifetimeSeconds"),
    Case(AUTHENTICATION, {**POLICY, "audience": "x" * 256}, "audience"),
    Case(AUTHENTICATION, {**POLICY, "groupsMember": "id"}, "groupsMember"),
    Case(AUTHENTICATION, {**POLICY, "sharedMetadata": "na.me"}, "sharedMetadata"),
    Case(RECOMMENDED, {"sent": "1"}, None),
    Case(AUTHENTICATION, {"action": "rotate", "gracePeriodSeconds": "7"}, None),
    Case(AUTHENTICATION, {"action": "email-login", "open": "1", "allowedDomains": "no-domain!"}, "allowedDomains"),
    Case(AUTHENTICATION, {"action": "sign-in", "signInUrl": "ftp://typed.example"}, "signInUrl"),
    Case(AUTHENTICATION, {"action": "sign-in", "signOutUrl": "ftp://typed.example"}, "signOutUrl"),
]
BUTTONS = {  # forms that cannot be refused for what was typed: they have nothing to type into
    ("/admin", ""),
    ("/admin/settings", ""),
    ("/admin/logout", ""),
    (AUTHENTICATION, "describe"),  # its texts have a maximum in the browser too
    (AUTHENTICATION, "enable"),
    (AUTHENTICATION, "disable"),
    (AUTHENTICATION, "revoke"),
    (AUTHENTICATION, "revoke-codes"),
    (API_KEYS, "revoke"),
    (USER, "deactivate"),
    (USER, "sign-in-link"),  # one choice of a list
    (USER, "reactivate"),
    (USER, "set-role"),
    (USER, "unlock"),
    (USER, "verify-email"),
    (USER, "invite-again"),
    (USER, "revoke-codes"),
    (USER, "end-session"),
    (USER, "end-sessions"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused_form_is_shown_with_the_message_at_its_field(case: Case, panel: Panel) -> None:
    user_id = user_of(panel.site)
    fields = {name: value.replace("$USER", user_id) for name, value in case.fields.items()}
    response = panel.post(case.path, **fields)
    assert response.status_code in (409, 422), words(response)
    assert any(form.message for form in Reader(response.text).forms), words(response)
    [form] = [form for form in Reader(response.text).forms if form.message]

    assert not form.hidden
    assert form.path == case.path
    wrong = {name for name, given in form.fields.items() if "aria-invalid" in given}
    assert wrong == ({case.faulty} if case.faulty else set()), form.message
    if case.faulty:
        assert form.fields[case.faulty]["aria-describedby"] == "form-problem"
        assert "autofocus" in form.fields[case.faulty]
    assert response.text.count(" autofocus") == 1
    assert response.text.count('id="form-problem"') == 1
    for name, given in form.fields.items():
        if given.get("type") in ("checkbox", "radio"):
            assert ("checked" in given) == (fields.get(name) == given.get("value")), name
        elif name in fields:
            shown = form.texts.get(name, given.get("value"))
            assert str(shown) == fields[name], name


def test_every_form_of_the_panel_is_in_one_of_the_two_tables(panel: Panel) -> None:
    user_id = user_of(panel.site)
    panel.secret_made(API_KEYS, name=new_user_id(), scope="READ")
    keys = panel.page(API_KEYS)
    key_id = keys.split("?revoke=", 1)[1].partition("#")[0]
    secret_id = panel.page(AUTHENTICATION).split("?revoke=", 1)[1].partition("#")[0]
    pages = [("/admin", {}), (USERS, {}), (USER, {"id": user_id}), (DEBUGGER, {}), (SEATS, {}), ("/admin/settings", {})]
    pages += [(API_KEYS, {"revoke": key_id}), (AUTHENTICATION, {"revoke": secret_id}), ("/admin/audit", {})]
    pages += [(AUTHENTICATION, {"describe": secret_id}), (RECOMMENDED, {}), (BRANDING, {})]
    pages += [("/admin/refusals", {}), ("/admin/groups", {}), ("/admin/authentication/leaked", {})]
    found: set[tuple[str, str]] = set()
    for path, query in pages:
        response = panel.get(path, **query)
        assert response.status_code == 200, path
        found |= {(form.path, action) for form in Reader(response.text).forms for action in form.actions or {""}}

    tables = {case.name for case in CASES} | BUTTONS
    assert found <= tables
    assert len(found) > 20


def test_message_about_the_form_as_a_whole_gets_the_focus(panel: Panel) -> None:
    response = panel.post(USERS, action="deactivate", sent="1")
    assert re.search(
        r'<p class="notice problem" id="form-problem" tabindex="-1" autofocus role="alert">', response.text
    )


def test_ticked_boxes_stay_ticked(panel: Panel) -> None:
    response = panel.post(
        USERS, action="deactivate", id=panel.get(USERS).text.split('name="id" value="')[1].split('"')[0]
    )
    if response.status_code == 409:
        assert " checked" in response.text


def test_problem_without_its_form_stays_at_the_top(panel: Panel) -> None:
    response = panel.post(USER, action="update", id="no-such-user", email="typed@example.com")
    assert response.status_code == 404
    assert response.text.count('id="form-problem"') == 1


def test_address_of_a_refused_form_still_names_its_user(panel: Panel) -> None:
    user_id = user_of(panel.site)
    forms = Reader(panel.get(USER, id=user_id).text).forms
    assert {form.attributes["action"] for form in forms if form.path == USER} == {f"{USER}?id={user_id}"}
