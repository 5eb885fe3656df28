"""The gate that all data passes on its way in: what Postgres, or the next reader, would choke on is refused by name.

Refused: NUL and lone surrogates (text and jsonb cannot hold them), NaN and infinities (1e400 among them: not JSON), nesting
deeper than 64, more bytes than the door allows.
"""

import json
import math
import re
from typing import Any

from pydantic import BaseModel, ValidationError

from jobs_core.errors import InvalidInput

MAX_DEPTH = 64
MAX_INPUT_BYTES = 256 * 1024
MAX_RESULT_BYTES = 1024 * 1024
MAX_ERROR_CHARS = 4_000
MAX_NAME_CHARS = 200
MAX_KEY_CHARS = 1_000  # of a key inside JSON: it stands in the path of all that lies below it

_REFUSED = re.compile("[\0\ud800-\udfff]")
_SUSPICIOUS = re.compile(r"\\u0000|null|NaN|Infinity")


def check_text(text: str, *, field: str, max_chars: int | None = None) -> str:
    """The text itself, if it is text that Postgres can hold. Raises InvalidInput naming the field."""
    if not isinstance(text, str):
        raise InvalidInput(f"{field}: is {type(text).__name__}, not text", field=field)
    if refused := _REFUSED.search(text):
        if refused[0] == "\0":
            raise InvalidInput(f"{field}: contains a NUL character; remove it", field=field)
        raise InvalidInput(f"{field}: contains half of a surrogate pair; send valid UTF-8", field=field)
    if max_chars is not None and len(text) > max_chars:
        raise InvalidInput(f"{field}: {len(text)} characters, at most {max_chars} are allowed", field=field)
    return text


def check_name(text: str, *, field: str) -> str:
    """The text itself, if it can be a name or a key: 1 to 200 characters. Raises InvalidInput naming the field."""
    if text == "":
        raise InvalidInput(f"{field}: is empty; leave it out or give a name", field=field)
    return check_text(text, field=field, max_chars=MAX_NAME_CHARS)


def to_json(value: Any, *, field: str, max_bytes: int) -> str:
    """The value, plain or a model, as JSON text that a jsonb column takes. Raises InvalidInput naming the place inside it."""
    if isinstance(value, BaseModel) and (short := _short_json(value, max_bytes)) is not None:
        return short
    try:
        plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        _check(plain, field)
        text = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if isinstance(value, BaseModel) and "null" in text:  # pydantic's word for a NaN in a field of type Any
            _check_numbers(value.model_dump(), [field])
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(f"{field}: cannot be written as JSON: {error}", field=field) from None
    size = len(text.encode())
    if size > max_bytes:
        raise InvalidInput(f"{field}: {size} bytes, at most {max_bytes} are allowed; pass it by reference", field=field)
    return text


def _short_json(value: BaseModel, max_bytes: int) -> str | None:
    """The model as JSON, where that is short and holds nothing that could be refused; None: walk it, to name the place.

    A create of a small job spends a tenth less time so. pydantic writes null for a NaN, so that a null must be looked into.
    """
    try:
        text = value.model_dump_json()
    except (ValueError, TypeError, RecursionError):
        return None
    short = len(text.encode()) <= min(max_bytes, MAX_KEY_CHARS)  # too short for a key that is too long
    shallow = text.count("{") + text.count("[") <= MAX_DEPTH
    return text if short and shallow and not _SUSPICIOUS.search(text) else None


def from_json(text: str | bytes, *, field: str, max_bytes: int) -> Any:
    """What JSON text from outside says. Raises InvalidInput where it is not JSON, or would not pass `to_json`."""
    if len(text) > max_bytes:
        raise InvalidInput(f"{field}: {len(text)} bytes, at most {max_bytes} are allowed", field=field)
    try:
        value = json.loads(text)
    except RecursionError:
        raise InvalidInput(f"{field}: nested deeper than {MAX_DEPTH}", field=field) from None
    except ValueError as error:
        raise InvalidInput(f"{field}: not JSON: {error}", field=field) from None
    _check(value, field)
    return value


def clean_text(text: str, *, max_chars: int = MAX_ERROR_CHARS) -> str:
    """Text of ours that must be kept whatever is in it (an error's): replaced where it cannot be stored, cut."""
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    return text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"


def fit(model: type[BaseModel], value: Any, *, field: str) -> BaseModel:
    """The value as an instance of the model. Raises InvalidInput naming the first field that does not fit."""
    try:
        return model.model_validate(value.model_dump() if isinstance(value, BaseModel) else value)
    except ValidationError as error:
        raise _unfit(error, field) from None


def fit_json(model: type[BaseModel], text: str, *, field: str) -> BaseModel:
    """`fit` for JSON text that was stored: read and fitted in one step. Raises InvalidInput as `fit` does."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise _unfit(error, field) from None


def _unfit(error: ValidationError, field: str) -> InvalidInput:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join([field, *(str(part) for part in first["loc"])])
    return InvalidInput(f"{place}: {first['msg'].removeprefix('Value error, ')}", field=place)


def _check(value: Any, field: str) -> None:
    _walk(value, [field])


def _walk(value: Any, path: list[str | int]) -> None:
    """The path is put together only where something is refused: 1 MiB below long keys took 1.5 s when each item had its own."""
    if len(path) > MAX_DEPTH + 1:
        raise InvalidInput(f"{path[0]}: nested deeper than {MAX_DEPTH}", field=str(path[0]))
    match value:
        case str():
            if _REFUSED.search(value):
                check_text(value, field=_place(path))
        case float() if not math.isfinite(value):
            raise InvalidInput(f"{_place(path)}: {value} is not a number that JSON can hold", field=_place(path))
        case dict():
            _walk_items(value, path)
        case list() | tuple():
            path.append(0)
            for path[-1], item in enumerate(value):
                _walk(item, path)
            path.pop()


def _walk_items(items: dict[Any, Any], path: list[str | int]) -> None:
    for key, item in items.items():
        if not isinstance(key, str):
            raise InvalidInput(f"{_place(path)}: the key {key!r} is not text", field=_place(path))
        if len(key) > MAX_KEY_CHARS or _REFUSED.search(key):
            check_text(key, field=f"{_place(path)} (a key)", max_chars=MAX_KEY_CHARS)
        path.append(key)
        _walk(item, path)
        path.pop()


def _check_numbers(value: Any, path: list[str | int]) -> None:
    match value:
        case float() if not math.isfinite(value):
            raise InvalidInput(f"{_place(path)}: {value} is not a number that JSON can hold", field=_place(path))
        case dict():
            for key, item in value.items():
                _check_numbers(item, [*path, str(key)])
        case list() | tuple() | set() | frozenset():
            for index, item in enumerate(value):
                _check_numbers(item, [*path, index])


def _place(path: list[str | int]) -> str:
    place = ".".join(str(part) for part in path)
    return place if len(place) <= MAX_KEY_CHARS else f"{place[: MAX_KEY_CHARS - 1]}…"
