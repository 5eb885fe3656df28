"""What an option gives in place: a text, - for stdin, or @FILE."""

import sys
from pathlib import Path
from typing import Any

from jobs_core import gate


def bytes_of(text: str, *, max_bytes: int) -> bytes:
    """What is given, no more than a byte past max_bytes of it."""
    if text == "-":
        return sys.stdin.buffer.read(max_bytes + 1)
    if text.startswith("@"):
        with Path(text[1:]).open("rb") as file:
            return file.read(max_bytes + 1)
    return text.encode()


def json_of(text: str, field: str) -> Any:
    """The JSON value that is given, as large as a job's input may be. Raises InvalidInput naming the field."""
    given = bytes_of(text, max_bytes=gate.MAX_INPUT_BYTES)
    return gate.from_json(given, field=field, max_bytes=gate.MAX_INPUT_BYTES)
