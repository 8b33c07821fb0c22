"""The page of API keys: lists, creates and revokes them."""

from datetime import date

from starlette.datastructures import FormData
from starlette.responses import Response

from service.api_keys.models import ApiKeyScope
from service.clock import now
from service.web.admin.authentication import to_secret
from service.web.admin.days import Days
from service.web.admin.page import AdminPage, FormRefused, text_of

API_KEYS = "/admin/api-keys"


async def show_api_keys(admin_page: AdminPage, problem: str | None = None, status: int = 200) -> Response:
    """`GET /admin/api-keys`: the page. With a `problem`, also the answer to a refused form."""
    data = await admin_page.run("api_keys")
    return admin_page.show(
        "api_keys.html",
        status=status,
        problem=problem,
        keys=data["apiKeys"],
        seat_usage=data["seatUsage"],
        moment=now().isoformat(),
        revoking=admin_page.asked("revoke"),
    )


async def change_api_keys(admin_page: AdminPage, form: FormData) -> Response:
    """`POST /admin/api-keys`: create a key, or revoke one."""
    if text_of(form, "action") == "revoke":
        await admin_page.run("revoke_api_key", id=text_of(form, "id"))
        return admin_page.go(API_KEYS, done="key-revoked")
    try:
        last_day = text_of(form, "expires")
        expires_at = Days.of(form).last_second(date.fromisoformat(last_day)) if last_day else None
    except (ValueError, OverflowError):
        raise FormRefused("The last day of the key must be a date.", "expires") from None
    chosen = text_of(form, "scope")
    scope = ApiKeyScope(chosen) if chosen in list(ApiKeyScope) else ApiKeyScope.READ
    made = await admin_page.run("create_api_key", name=text_of(form, "name"), scope=scope, expiresAt=expires_at)
    return await to_secret(admin_page, made["createApiKey"]["token"], api_key=True)
