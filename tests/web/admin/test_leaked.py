"""The panel's page for a secret that has leaked."""

import re

from tests.site import new_user_id
from tests.web.admin.panel import AUTHENTICATION, Panel, sign_in_by_code

LEAKED = "/admin/authentication/leaked"


def current_secret_id(panel: Panel) -> str:
    found = re.search(r'name="id" value="(jws_\w+)"', panel.page(LEAKED))
    assert found
    return found[1]


def test_leaked_secret_is_replaced_in_one_go(panel: Panel) -> None:
    user_id = new_user_id()
    sign_in_by_code(panel.site, user_id)
    leaked = current_secret_id(panel)
    assert LEAKED in panel.page(AUTHENTICATION)
    assert user_id in panel.page(LEAKED), "the newest events of the secret are shown"

    secret, _ = panel.secret_made(AUTHENTICATION, action="revoke", id=leaked, endSessions="1", replace="1")

    assert secret
    assert "is revoked: its codes are refused" in panel.page(LEAKED, id=leaked)
    assert user_id in panel.page(LEAKED, id=leaked)
    assert current_secret_id(panel) != leaked


def test_unknown_secret_is_not_found(panel: Panel) -> None:
    for unknown in ("jws_unknown", "\0", "x" * 300):
        assert panel.get(LEAKED, id=unknown).status_code == 404
