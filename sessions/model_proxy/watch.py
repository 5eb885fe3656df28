"""Who wants to hear how the provider does."""

from collections.abc import Mapping
from typing import Protocol


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
