"""The routes of the application, those that are imported at their first request too."""

from starlette.routing import Route

from service.app import create_app
from service.settings import load_settings
from service.web.late_routes import LateRoutes


def all_routes() -> list[Route]:
    """Every route. A mounted application would have to be looked into, so there must be none."""
    found: list[Route] = []
    for route in create_app(load_settings({})).routes:
        if isinstance(route, LateRoutes):
            found += route.load()
        else:
            assert isinstance(route, Route), route
            found.append(route)
    return found
