"""Renders HTML pages: Jinja2 with autoescape, and the strict headers. Every page works without JavaScript."""

from collections.abc import Callable, Mapping

from starlette.responses import HTMLResponse, Response

from service.branding.configuration import UNBRANDED
from service.errors import RETRY_AFTER
from service.settings import Settings
from service.web.security import page_headers


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
    rewrite: Callable[[str], str] | None = None,
    **values: object,
) -> Response:
    """Render a template of `templates/` and return the response. Without a value `branding` it has the name of Doorcode.

    `checks_origin`: the page has a form that only works when sent from this origin. `scripts`: the page loads a script
    of `static/`. `leads_to`: a URL beside the application's that a form may redirect to. `rewrite`:
    changes the finished HTML.
    """
    from service.web.templates_environment import TEMPLATES  # noqa: PLC0415  # see there

    body = TEMPLATES.get_template(template).render({"branding": UNBRANDED, **values})
    if rewrite is not None:
        body = rewrite(body)
    strict = page_headers(settings, checks_origin=checks_origin, scripts=scripts, leads_to=leads_to)
    if status == 503:
        strict = {**strict, "Retry-After": str(RETRY_AFTER)}
    return HTMLResponse(body, status, {**strict, **(headers or {})})
