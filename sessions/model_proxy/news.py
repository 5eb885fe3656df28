"""How the provider does, as its answers tell, and who wants to hear of it."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

import structlog

_FIRST_ERROR, _SERVER_ERROR = 400, 500
_TROUBLE = {401, 402, 403, 408, 409, 429}

log = structlog.get_logger()


class ProviderWatch(Protocol):
    """Told of each call's outcome at the provider, in the event loop: it must not block, and what it raises is logged."""

    def on_trouble(self, status: int | None, headers: Mapping[str, str], error_type: str | None) -> None:
        """The provider refused or broke off: 401, 402, 403, 408, 409, 429, 5xx; None: not reached, or the connection was cut.

        headers: lower-case names, `retry-after` among them where it was sent. error_type: the API's own word
        (`overloaded_error`), `billing_error` too where a 400 says that the credit is used up. A stream that ends with an
        error event comes with status 200.
        """

    def on_success(self) -> None:
        """The provider gave a whole answer."""


class News:
    """Tells a watch, where there is one."""

    def __init__(self, watch: ProviderWatch | None) -> None:
        self._watch = watch

    def trouble(self, status: int | None, headers: Mapping[str, str], error_type: str | None) -> None:
        """Of an answer that is no success; those that are the request's own fault are left out."""
        if status is None or status < _FIRST_ERROR or _is_trouble(status, error_type):
            self._tell(lambda watch: watch.on_trouble(status, headers, error_type))

    def success(self) -> None:
        """Of one that is."""
        self._tell(lambda watch: watch.on_success())

    def _tell(self, tell: Callable[[ProviderWatch], None]) -> None:
        try:
            if self._watch:
                tell(self._watch)
        except Exception:  # the answer belongs to the CLI, whatever becomes of its news
            log.exception("provider_watch.broke")


def error_type(body: bytes) -> str | None:
    """The API's word for an error; `billing_error` for the 400 that says it in its text only."""
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        error = json.loads(body)["error"]
        if "credit balance" in str(error.get("message")).lower():
            return "billing_error"
        return str(error["type"])
    return None


def _is_trouble(status: int, error_type: str | None) -> bool:
    return status in _TROUBLE or status >= _SERVER_ERROR or error_type == "billing_error"
