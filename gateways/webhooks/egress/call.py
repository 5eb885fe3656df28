"""One call of a receiver: a signed body to an address that was checked, and what it answers.

No redirect is followed, no proxy asked, no cookie kept, and of the answer no more is read than its status and headers: whatever
follows, however long or slow or packed, costs nothing.
"""

import asyncio
import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from functools import cached_property

import httpx

from gateways.webhooks.egress.addresses import Address, Resolve, addresses_of, check_url, resolve
from gateways.webhooks.errors import NotCallable
from gateways.webhooks.settings import CallbackSettings

CONNECT_S = 5.0
WITHIN_S = 20.0
"""From the look at the name to the last of the answer's headers; senders of webhooks wait for 15 to 30 s."""
_MOST_ADDRESSES = 3
LONGEST_WAIT_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Answered:
    """The receiver answered. retry_after_s: when it wants to be asked again, a second to a day; None: it did not say."""

    status: int
    retry_after_s: float | None


@dataclass(frozen=True, slots=True)
class NotReached:
    """Nothing was sent: the receiver may not be called now, or cannot be."""

    reason: str


class AnswerLost(ConnectionError):
    """Something was sent, and nobody knows whether it was taken."""


class Caller:
    """Calls receivers. within_s: how long a call takes at most."""

    def __init__(self, settings: CallbackSettings, resolve: Resolve = resolve, *, within_s: float = WITHIN_S) -> None:
        self._settings = settings
        self._resolve = resolve
        self._within_s = within_s

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answered | NotReached:
        """Send a body. Raises AnswerLost."""
        try:
            receiver = check_url(url, self._settings)
            addresses = await addresses_of(receiver, self._settings, self._resolve)
        except NotCallable as error:
            return NotReached(f"its URL {error}")
        host = receiver.url.netloc.decode()
        given = {"host": host, "accept": "*/*", "accept-encoding": "identity", **headers}
        reached: Answered | NotReached = NotReached("it has no address")
        for address in addresses[:_MOST_ADDRESSES]:
            request = httpx.Request(
                "POST",
                _at(receiver.url, address, receiver.port),
                headers={**given, "content-length": str(len(body)), "connection": "close"},
                content=body,
                extensions={"sni_hostname": receiver.host, "timeout": self._timeouts},
            )
            reached = await self._send(request)
            if isinstance(reached, Answered):
                break
        return reached

    async def _send(self, request: httpx.Request) -> Answered | NotReached:
        try:
            async with asyncio.timeout(self._within_s):
                response = await self._transport.handle_async_request(request)
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return NotReached(f"it cannot be connected to: {error or type(error).__name__}")
        except TimeoutError:
            raise AnswerLost(f"it did not answer within {self._within_s:g} s") from None
        except httpx.HTTPError as error:
            raise AnswerLost(f"its answer was lost: {type(error).__name__}") from None
        return Answered(response.status_code, _retry_after_s(response.headers.get("retry-after")))

    @property
    def _timeouts(self) -> dict[str, float]:
        within_s = self._within_s
        return {"connect": min(CONNECT_S, within_s), "read": within_s, "write": within_s, "pool": within_s}

    @cached_property
    def _transport(self) -> httpx.AsyncHTTPTransport:
        """A bare transport: a client would heed the environment's proxies and keep cookies. It reads certificates once."""
        return httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))


def _at(url: httpx.URL, address: Address, port: int) -> httpx.URL:
    """The URL with an address in place of its host; the request's Host header and TLS name it as before."""
    return url.copy_with(host=str(address), port=port)


def _retry_after_s(given: str | None) -> float | None:
    """What a Retry-After header says, in seconds or as a date; None where it says nothing."""
    if not given:
        return None
    if given.isascii() and given.isdigit():
        wait_s = float(given[:9])
    else:
        try:
            at = email.utils.parsedate_to_datetime(given)
        except (ValueError, TypeError, OverflowError):
            return None
        wait_s = at.replace(tzinfo=at.tzinfo or UTC).timestamp() - time.time()
    return min(max(wait_s, 1.0), LONGEST_WAIT_S)
