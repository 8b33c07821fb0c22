"""Lines of CSV files that are safe to open in a spreadsheet."""

import csv
import io
import json
import re
from collections.abc import Iterable

BYTE_ORDER_MARK = "\ufeff"  # without it Excel reads UTF-8 as the encoding of its own country

# What a spreadsheet runs: a cell that begins with one of these, in full width too. Where the list separator is `;` or a
# tab, a part of a cell becomes a cell of its own.
_FORMULA = re.compile("(^|[;\t\r\n])(\\s*[=+\\-@\uff1d\uff0b\uff0d\uff20])")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def csv_line(values: Iterable[object]) -> str:
    """Return one line of a CSV file. What is not text is written as JSON, and null as an empty cell."""
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow([_cell(value) for value in values])
    return line.getvalue()


def _cell(value: object) -> str:
    """The text of a cell. An apostrophe precedes what a spreadsheet would run as a formula (OWASP, CSV injection)."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if _NUMBER.fullmatch(text) else _FORMULA.sub(r"\1'\2", text)
