"""What a command says of an agent's fields: `--set NAME=VALUE`, a JSON file, and the lines that show what would change."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs_core import InvalidInput, gate

_TEXTS = frozenset({"owner_prompt", "external_prompt", "heartbeat_prompt", "model", "fallback_model", "effort"})
_SHOWN_CHARS = 70


def read_fields(settings: Sequence[str], file: str | None) -> dict[str, Any]:
    """The fields of a JSON file (`-`: stdin), and over them those of `--set`. Raises InvalidInput naming what cannot be read.

    A text field's value stands as it is, or in `@FILE`, and an empty one is not set; the others' are JSON.
    """
    read: Any = {} if file is None else gate.from_json(_read(file), field="--from", max_bytes=gate.MAX_INPUT_BYTES)
    if not isinstance(read, dict):
        raise InvalidInput("--from: is no JSON object; write what ./jobs agent show --json prints", field="--from")
    # What `show` prints names the agent, too.
    fields: dict[str, Any] = {name: value for name, value in read.items() if name not in {"id", "name"}}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise InvalidInput(f"--set: {setting[:80]!r} is not NAME=VALUE, such as model=claude-opus-5", field="--set")
        fields[name] = _text(value) if name in _TEXTS else _json(name, value)
    return fields


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """A line for each field that differs."""
    for name, value in after.items():
        if value != before[name]:
            yield f"{name}: {brief(before[name])} → {brief(value)}"


def brief(value: Any) -> str:
    """A field's value on a part of a line."""
    if value is None:
        return "the default"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}… ({len(text)} characters)"


def _text(value: str) -> str | None:
    if value.startswith("@"):
        try:
            value = _read(value[1:]).decode().rstrip("\n")
        except UnicodeDecodeError:
            raise InvalidInput(f"--set: {value[1:]} is not UTF-8 text: convert it with iconv", field="--set") from None
    return gate.check_text(value, field="--set") or None


def _json(name: str, value: str) -> Any:
    try:
        return gate.from_json(value, field=f"--set {name}", max_bytes=gate.MAX_INPUT_BYTES)
    except InvalidInput as error:
        raise InvalidInput(
            f"{error}; write JSON, in quotes of the shell: --set 'tools=[\"Read\"]'", field=name
        ) from None


def _read(file: str) -> bytes:
    most = gate.MAX_INPUT_BYTES + 1  # one more than is taken, so that what is too long is refused and not cut
    if file == "-":
        return sys.stdin.buffer.read(most)
    with Path(file).open("rb") as opened:
        return opened.read(most)
