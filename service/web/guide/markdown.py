"""Renders a chapter's Markdown as HTML: headings with anchors, scrolling tables and code, links between pages."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

_LINK_TO_CHAPTER = re.compile(r"([a-z-]+)\.md(#.*)?")
_NOT_IN_ANCHOR = re.compile(r"[^\w -]")


@dataclass(frozen=True, slots=True)
class Section:
    """An entry of the table of contents."""

    anchor: str
    title: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A chapter as HTML, and its sections of the second level."""

    html: str
    sections: list[Section]


def anchor_of(title: str) -> str:
    """Returns the anchor that GitHub and other forges give a heading, so that one link works in both places."""
    return _NOT_IN_ANCHOR.sub("", title.replace("`", "")).replace(" ", "-").lower()


def render(markdown: str, base: str) -> Rendered:
    """Returns the HTML of a chapter. Links to `NAME.md` lead to `base`/NAME. HTML in the text is escaped."""
    tokens = _PARSER.parse(markdown)
    sections = []
    for heading, inline in pairwise(tokens):
        if heading.type != "heading_open":
            continue
        title = _text_of(inline)
        heading.attrSet("id", anchor_of(title))
        if heading.tag == "h2":
            sections.append(Section(anchor_of(title), title))
    for token in tokens:
        for child in token.children or []:
            if child.type == "link_open":
                child.attrSet("href", _address_of(str(child.attrGet("href")), base))
    return Rendered(_PARSER.renderer.render(tokens, _PARSER.options, {}), sections)


def _address_of(link: str, base: str) -> str:
    found = _LINK_TO_CHAPTER.fullmatch(link)
    return link if found is None else f"{base}/{found[1]}{found[2] or ''}"


def _text_of(inline: Token) -> str:
    return "".join(child.content for child in inline.children or [])


class _Renderer(RendererHTML):
    """Extends the renderer of the library. A method with the name of a token renders that token."""

    def heading_close(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        """Adds a link to the section itself at the end of its heading."""
        title = _text_of(tokens[index - 1])
        link = f'<a class="anchor" href="#{anchor_of(title)}" aria-label="Link to this section">#</a>'
        closed = self.renderToken(tokens, index, options, env)
        return closed if tokens[index].tag == "h1" else f" {link}{closed}"

    def table_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        """Puts the table into a box that can be focused, because the keyboard scrolls only what has the focus."""
        table = self.renderToken(tokens, index, options, env)
        return f'<div class="scroll" role="group" aria-label="Table" tabindex="0">{table}'

    def table_close(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        """Ends the box of the table."""
        return f"{self.renderToken(tokens, index, options, env)}</div>\n"

    def fence(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
        """Makes a block of code focusable, so that the keyboard can scroll it."""
        return super().fence(tokens, index, options, env).replace("<pre>", '<pre tabindex="0">', 1)


# Table cells are aligned by the attribute `style`, which the content security policy forbids; no chapter aligns any.
_PARSER = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table")
