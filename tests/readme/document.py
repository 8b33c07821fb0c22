"""The README and the chapters of the guide as data: their fenced blocks, programs, tables and GraphQL operations."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Self

from service.settings import Settings
from service.web.guide.chapters import CHAPTERS, INDEX, with_samples
from tests.processes import ROOT

README = "README.md"
GUIDE = ROOT / "service" / "guide"
ADDRESS = "127.0.0.1:8000"
NOT_RUN = "not run: "

_FENCE = re.compile(
    r"^(?:<!-- (?P<remark>[^\n]*?) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_IN_JSON = re.compile(r'"query": ("(?:[^"\\]|\\.)*")')
_IN_TEMPLATE = re.compile(r"`\s*((?:query|mutation)\b[^`]*)`")
_IN_CALL = re.compile(r'ask\("(\{[^"]*\})"')
_FIRST_LINE_OF_PROGRAM = re.compile(r"(?:<\?php )?(?://|#) (?P<name>[\w-]+\.\w+)(?:: (?P<command>.+))?\n")


@dataclass(frozen=True)
class Block:
    """A fenced block. `remark` is the comment on the line before it, which no reader sees."""

    document: str
    language: str
    text: str
    remark: str
    line: int

    def __str__(self) -> str:
        return f"{self.document}, line {self.line}"

    @property
    def is_run(self) -> bool:
        """Whether a reader runs it in a shell."""
        return self.language == "bash" and not self.remark.startswith(NOT_RUN)


@dataclass(frozen=True)
class Program:
    """A block whose first line says what to call the file, and perhaps how to run it."""

    name: str
    command: str | None
    text: str

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, block: Block) -> Self | None:
        """The program in this block, if it is one."""
        first_line = _FIRST_LINE_OF_PROGRAM.match(block.text)
        return cls(first_line["name"], first_line["command"], block.text) if first_line else None


def _documents() -> dict[str, str]:
    """The chapters have their samples included, and the address of a service that runs with the default settings."""
    chapters = {
        f"{name}.md": with_samples((GUIDE / f"{name}.md").read_text(), Settings()) for name in (INDEX, *CHAPTERS)
    }
    return {README: (ROOT / README).read_text(), **chapters}


DOCUMENTS = _documents()


def blocks(document: str | None = None) -> list[Block]:
    """Every fenced block, in order; of one document, or of all."""
    return [
        Block(name, found["language"], found["text"], found["remark"] or "", text.count("\n", 0, found.start("text")))
        for name, text in DOCUMENTS.items()
        if document in (None, name)
        for found in _FENCE.finditer(text)
    ]


def shell(document: str) -> list[tuple[Block, str | None]]:
    """What a reader of one document runs, in order, each block with what the document says that it prints."""
    everything = blocks(document)
    return [
        (block, after.text if after is not None and after.remark == "prints" else None)
        for block, after in zip_longest(everything, everything[1:])
        if block.is_run
    ]


def programs() -> dict[str, Program]:
    """Every program, by its file's name."""
    return {program.name: program for block in blocks() if (program := Program.of(block))}


def table(heading: str, first_column: str) -> list[list[str]]:
    """The rows of the one table with this first column in a section with this heading, without backquotes."""
    [rows] = _tables(heading, first_column)
    return rows


def _tables(heading: str, first_column: str) -> Iterator[list[list[str]]]:
    for text in DOCUMENTS.values():
        for after in re.split(rf"^#+ {re.escape(heading)}\n", text, flags=re.MULTILINE)[1:]:
            lines = re.split(r"^#+ ", after, maxsplit=1, flags=re.MULTILINE)[0].replace("`", "").split("\n")
            for number, line in enumerate(lines):
                if line.startswith(f"| {first_column} |"):
                    yield list(_rows(lines[number + 2 :]))


def _rows(lines: list[str]) -> Iterator[list[str]]:
    for line in lines:
        if not line.startswith("| "):
            return
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


def operations() -> list[tuple[Block, str]]:
    """Every GraphQL document, whatever the language of its block, with that block."""
    return [(block, text) for block in blocks() for text in _documents_in(block)]


def _documents_in(block: Block) -> list[str]:
    if block.language == "graphql":
        return [block.text]
    in_json = [json.loads(text) for text in _IN_JSON.findall(block.text)]
    return in_json + _IN_TEMPLATE.findall(block.text) + _IN_CALL.findall(block.text)
