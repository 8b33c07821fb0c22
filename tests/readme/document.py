"""The README as data: its fenced blocks, its programs, its tables, and the GraphQL operations in it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from tests.servers import ROOT

README = ROOT / "README.md"
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

    language: str
    text: str
    remark: str
    line: int

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


def blocks() -> list[Block]:
    """Every fenced block, in order."""
    text = README.read_text()
    return [
        Block(found["language"], found["text"], found["remark"] or "", text.count("\n", 0, found.start("text")))
        for found in _FENCE.finditer(text)
    ]


def shell() -> list[tuple[Block, str | None]]:
    """What a reader runs, in order, each block with what the README says that it prints."""
    everything = blocks()
    return [
        (block, after.text if after is not None and after.remark == "prints" else None)
        for block, after in zip(everything, [*everything[1:], None], strict=True)
        if block.is_run
    ]


def programs() -> dict[str, Program]:
    """Every program, by its file's name."""
    return {program.name: program for block in blocks() if (program := Program.of(block))}


def table(heading: str, first_column: str) -> list[list[str]]:
    """The rows of the table with this first column in the section with this heading, without backquotes."""
    section = re.split(r"^#+ ", README.read_text().split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    lines = section.replace("`", "").split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    return list(_rows(lines[start + 2 :]))


def _rows(lines: list[str]) -> Iterator[list[str]]:
    for line in lines:
        if not line.startswith("| "):
            return
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


def operations() -> list[tuple[int, str]]:
    """Every GraphQL document, in whatever language it stands, with the line of its block."""
    return [(block.line, text) for block in blocks() for text in _documents_in(block)]


def _documents_in(block: Block) -> list[str]:
    if block.language == "graphql":
        return [block.text]
    in_json = [json.loads(text) for text in _IN_JSON.findall(block.text)]
    return in_json + _IN_TEMPLATE.findall(block.text) + _IN_CALL.findall(block.text)
