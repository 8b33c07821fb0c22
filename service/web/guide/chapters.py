"""The chapters as Markdown: samples included, and example addresses replaced by those of this instance."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from service.settings import Settings
from service.web.destination import origin_of

INDEX = "index"
CHAPTERS = ("integrator", "frontend", "web-page", "admin", "operator", "capacity", "security", "contract")
"""In the order in which the index lists them."""

PICTURES = ("growth",)
"""The files of pictures, in SVG, that chapters show."""

_DIRECTORY = Path(__file__).parents[2] / "guide"
_LOCAL_URL = "http://127.0.0.1:8000"
# A paragraph that is one link to a sample: a forge shows the link, and here the sample takes its place.
_INCLUDE = re.compile(r"^\[[^\]\n]+\]\(samples/([\w.-]+)\)$", re.MULTILINE)
_COMMENT = re.compile(r"^<!--.*?-->\n", re.MULTILINE)
_LANGUAGES = {
    ".yml": "yaml",
    ".conf": "nginx",
    ".cs": "csharp",
    ".go": "go",
    ".graphql": "graphql",
    ".java": "java",
    ".json": "json",
    ".mjs": "js",
    ".php": "php",
    ".py": "python",
    ".rb": "ruby",
    ".service": "ini",
    ".ts": "ts",
    ".tsx": "tsx",
    ".Containerfile": "dockerfile",
    ".yaml": "yaml",
    "": "caddyfile",  # the file is called Caddyfile
}


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter for a reader of one instance."""

    name: str
    markdown: str

    @property
    def title(self) -> str:
        """Returns the text of the first heading."""
        return self.markdown.partition("\n")[0].removeprefix("# ")

    @property
    def label(self) -> str:
        """Returns the title as it is written in a row of links."""
        label = self.title.removeprefix("For the ").removeprefix("The ")
        return label[0].upper() + label[1:]

    @property
    def summary(self) -> str:
        """Returns the first paragraph after the title, on one line."""
        return self.markdown.split("\n\n", 2)[1].replace("\n", " ").strip()


def read_picture(name: str) -> bytes:
    """Returns the SVG of a picture."""
    return (_DIRECTORY / f"{name}.svg").read_bytes()


def read_sample(name: str) -> str:
    """Returns the text of a file in `samples/`. Raises `FileNotFoundError` if there is no such file."""
    return (_DIRECTORY / "samples" / name).read_text(encoding="utf-8")


def read_chapter(name: str, settings: Settings) -> Chapter:
    """Returns the chapter with its samples included and the addresses of this instance filled in.

    `name` is one of `CHAPTERS` or `INDEX`. Comments, which are notes for the tests, are removed.
    """
    source = (_DIRECTORY / f"{name}.md").read_text(encoding="utf-8")
    return Chapter(name, with_samples(_COMMENT.sub("", source), settings))


def with_samples(source: str, settings: Settings) -> str:
    """Returns the source of a chapter with its samples included and addresses filled in; comments stay."""
    addresses = _addresses(settings)
    # In a proxy's configuration 127.0.0.1:8000 is where the proxy finds Doorcode, so samples keep it.
    text = _fill(source, {**addresses, _LOCAL_URL: settings.public_url})
    return _INCLUDE.sub(lambda found: _fenced(found[1], addresses), text)


def _fenced(name: str, addresses: Mapping[str, str]) -> str:
    return f"```{_LANGUAGES[Path(name).suffix]}\n{_fill(read_sample(name), addresses)}```"


def _fill(text: str, addresses: Mapping[str, str]) -> str:
    """Replaces all examples in one pass: an address of this instance may itself contain an example."""
    return re.sub("|".join(map(re.escape, addresses)), lambda found: addresses[found[0]], text)


def _addresses(settings: Settings) -> dict[str, str]:
    """Returns this instance's address for each example. If a setting is not set, its examples stay.

    The order matters: of two examples that begin at the same place, the first is replaced.
    """
    host = urlsplit(settings.public_url).hostname or ""
    addresses = {
        "https://auth.example.com": settings.public_url,
        "https://chat.example.com": settings.public_url,  # where one host serves the application too
        "auth.example.com": host,
        "chat.example.com": host,
    }
    if settings.app_url:
        addresses |= {
            "APP_URL=https://app.example.com/": f"APP_URL={settings.app_url}",
            "https://app.example.com": origin_of(settings.app_url),
            "app.example.com": urlsplit(settings.app_url).hostname or "",
        }
    if settings.cookie_domain:
        addresses["COOKIE_DOMAIN=example.com"] = f"COOKIE_DOMAIN={settings.cookie_domain}"
    return addresses
