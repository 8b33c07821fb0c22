"""The two places where people sign in by email, as the one flow sees them: `/login` and `/admin/login`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from service.sessions.models import TokenTransport
from service.settings import Settings
from service.web.branding import branded_page
from service.web.forms import REFUSED_ORIGIN
from service.web.requests import instance_of


@dataclass(frozen=True, slots=True)
class Problem:
    """What a form says about the last try, and the status and headers of that answer."""

    text: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


def _no_values(settings: Settings) -> Mapping[str, object]:
    return {}


@dataclass(frozen=True, slots=True)
class SignInPlace:
    """What differs between the sign-in of members and that of admins."""

    token_transport: TokenTransport
    path: str
    invitation_path: str
    templates: str
    """The folder of the templates `address`, `code`, `invitation` and `dead_link`."""
    read_return_to: Callable[[str | None], str | None]
    """Turns the parameter `returnTo` into the value that the forms carry."""
    destination: Callable[[Settings, str | None], str]
    """Returns the address to go on to, from the value that the form carried."""
    refused_origin: str = REFUSED_ORIGIN
    """The template for a form that another site sent."""
    values: Callable[[Settings], Mapping[str, object]] = _no_values
    """More values for the templates."""

    @property
    def code_path(self) -> str:
        """The path of the form that asks for the code."""
        return f"{self.path}/code"

    async def show(
        self,
        request: Request,
        template: str,
        problem: Problem | None = None,
        *,
        scripts: bool = False,
        **values: object,
    ) -> Response:
        """Return the page of a form, with what is wrong with the last try."""
        return await branded_page(
            request,
            f"{self.templates}/{template}.html",
            status=problem.status if problem else 200,
            checks_origin=True,
            scripts=scripts,
            leads_to=None,
            rewrite=None,
            headers=problem.headers if problem else None,
            problem=problem.text if problem else None,
            **self.values(instance_of(request).settings),
            **values,
        )

    async def show_dead_link(self, request: Request) -> Response:
        """Return the page that says that a one-time link is not valid any more."""
        return await branded_page(request, f"{self.templates}/dead_link.html", status=401)
