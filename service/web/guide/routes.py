"""`/guide`: the chapters as HTML, with this instance's addresses.

`/guide/NAME.md` and `/llms.txt`: the same as text.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.settings import Settings
from service.web.assets import is_unchanged
from service.web.guide.chapters import CHAPTERS, INDEX, PICTURES, Chapter, read_chapter, read_picture
from service.web.guide.markdown import render
from service.web.pages import page

PATH = "/guide"
_REVALIDATE = {"cache-control": "no-cache"}  # with the ETag a revalidation costs one look-up
_TEXT = {**_REVALIDATE, "x-content-type-options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Document:
    """A page or a text, rendered once in each process."""

    body: bytes
    media_type: str
    headers: Mapping[str, str]


def guide_routes(settings: Settings) -> list[Route]:
    """Returns the routes of the guide."""
    guide = _Guide(settings)
    return [
        Route(PATH, _serve(lambda _: guide.page(INDEX)), methods=["GET"]),
        Route(f"{PATH}/{{name}}.md", _serve(lambda request: guide.text(_name_in(request, INDEX))), methods=["GET"]),
        Route(f"{PATH}/{{name}}.svg", _serve(lambda request: guide.picture(_picture_in(request))), methods=["GET"]),
        Route(f"{PATH}/{{name}}", _serve(lambda request: guide.page(_name_in(request))), methods=["GET"]),
        Route("/llms.txt", _serve(lambda _: guide.list_for_models()), methods=["GET"]),
    ]


class _Guide:
    """The documents for one instance.

    Rendered documents are cached, because they do not change while the process runs.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._chapter = cache(lambda name: read_chapter(name, settings))
        self.page: Callable[[str], Document] = cache(self._page)
        self.text: Callable[[str], Document] = cache(self._text)
        self.picture: Callable[[str], Document] = cache(_picture)
        self.list_for_models: Callable[[], Document] = cache(self._list_for_models)

    def _page(self, name: str) -> Document:
        chapter = self._chapter(name)
        rendered = render(chapter.markdown, PATH)
        response = page(
            self._settings,
            "guide.html",
            name=name,
            title=chapter.title,
            content=rendered.html,
            sections=rendered.sections,
            chapters=[self._chapter(other) for other in CHAPTERS],
        )
        return Document(bytes(response.body), "text/html", {**_headers_of(response), **_REVALIDATE})

    def _text(self, name: str) -> Document:
        return Document(self._chapter(name).markdown.encode(), "text/markdown", _TEXT)

    def _list_for_models(self) -> Document:
        """Returns a list in the format of https://llmstxt.org: title, summary, links to Markdown."""
        index = self._chapter(INDEX)
        lines = [self._line_of(self._chapter(name)) for name in CHAPTERS]
        text = f"# Doorcode\n\n> {index.summary}\n\n## Chapters\n\n{''.join(lines)}"
        return Document(text.encode(), "text/plain", _TEXT)

    def _line_of(self, chapter: Chapter) -> str:
        return f"- [{chapter.title}]({self._settings.public_url}{PATH}/{chapter.name}.md): {chapter.summary}\n"


def _headers_of(response: Response) -> dict[str, str]:
    """Returns the headers of a page, without those that a new response derives from its body."""
    return {name: value for name, value in response.headers.items() if name not in ("content-length", "content-type")}


def _picture(name: str) -> Document:
    return Document(read_picture(name), "image/svg+xml", _TEXT)


def _picture_in(request: Request) -> str:
    """Returns the picture that the path names. Raises 404 for any other name, as `_name_in` does."""
    name: str = request.path_params["name"]
    if name not in PICTURES:
        raise HTTPException(404)
    return name


def _name_in(request: Request, *also: str) -> str:
    """Returns the chapter that the path names. Raises 404 for any other name, so that the caches stay small."""
    name: str = request.path_params["name"]
    if name not in (*CHAPTERS, *also):
        raise HTTPException(404)
    return name


def _serve(find: Callable[[Request], Document]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        document = find(request)
        etag = f'"{hashlib.sha256(document.body).hexdigest()[:16]}"'
        headers = {**document.headers, "etag": etag}
        if is_unchanged(request, etag):
            return Response(status_code=304, headers=headers)
        return Response(document.body, media_type=document.media_type, headers=headers)

    return answer
