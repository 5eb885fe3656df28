"""The `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header): a POST that is sent again is done once."""

import re
from typing import Annotated

from fastapi import Depends, Header, Request

from jobs_core import InvalidInput, gate

_HEADER = "Idempotency-Key"
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_BARE = re.compile(r'[^"\\]+')


def _key(
    request: Request,
    _named: Annotated[str | None, Header(alias=_HEADER, description="A POST that is sent again is done once")] = None,
) -> str | None:
    """The key: a quoted string, as the draft has it, or the bare text that most clients send. Raises InvalidInput."""
    given = request.headers.getlist(_HEADER)
    if not given:
        return None
    text = given[0].strip()
    if len(given) > 1:
        raise InvalidInput(f"{_HEADER}: is given {len(given)} times; give it once", field=_HEADER)
    if not (text.isascii() and text.isprintable()):
        raise InvalidInput(f"{_HEADER}: is not printable ASCII; take a UUID", field=_HEADER)
    if quoted := _QUOTED.fullmatch(text):
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    elif not _BARE.fullmatch(text):
        raise InvalidInput(f'{_HEADER}: is neither "quoted" nor plain text; take a UUID', field=_HEADER)
    if not text:
        raise InvalidInput(f"{_HEADER}: is empty; leave it out, or take a UUID", field=_HEADER)
    return gate.check_text(text, field=_HEADER, max_chars=gate.MAX_NAME_CHARS)


IdempotencyKey = Annotated[str | None, Depends(_key)]
"""A route's parameter: the key of the request, or None."""
