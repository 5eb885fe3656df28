"""Which receivers may be called: by their URL, and by every address that their name stands for at this moment.

    url ─ check_url ─▶ host, port ─ resolve ─▶ addresses ─ all of them public? ─▶ connect to one of these, not to the name

A name may stand for another address a moment later (rebinding), so that whoever connects takes an address from here.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpx

from assistant.callbacks import MAX_URL_CHARS
from gateways.webhooks.errors import NotCallable
from gateways.webhooks.settings import CallbackSettings

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

RESOLVE_S = 5.0
_LOOKUPS = ThreadPoolExecutor(4, "callback-lookup")
"""A lookup goes on after nobody waits for it: a receiver's slow nameserver is to hold none of the loop's own
threads, by which all else is done, connections to Postgres among it."""
_PORTS = {"https": 443, "http": 80}
_UNPRIVILEGED = range(1024, 65536)
_IPV6_INTERNET = IPv6Network("2000::/3")
"""All that is public today; mapped IPv4, NAT64, link-local, private and multicast addresses lie outside of it."""
_SPECIAL = (
    IPv4Network("192.0.0.0/24"),  # one cloud has its metadata there
    IPv4Network("168.63.129.16/32"),  # and another one its hosts' agent
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
    IPv6Network("2002::/16"),  # 6to4 and Teredo: there is an IPv4 address inside
    IPv6Network("2001::/32"),
)
"""Some of what Python takes for global, one version more than another, and is not the internet."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where a URL leads. host: as it is named, or an address without brackets."""

    url: httpx.URL
    host: str
    port: int


def check_url(url: str, settings: CallbackSettings) -> Receiver:
    """The receiver that a URL names, if it may be called at all. Raises NotCallable; where its name leads is not looked at."""
    try:
        parsed = httpx.URL(url)
        _ = parsed.host  # reads what names begin with xn--
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise NotCallable(f"is no URL: {error}") from None
    if len(url) > MAX_URL_CHARS or not url.isprintable() or " " in url or "\\" in url:
        raise NotCallable(f"is longer than {MAX_URL_CHARS} characters, or has some that no URL has")
    if parsed.scheme not in _PORTS or (parsed.scheme == "http" and settings.callback_http == "off"):
        raise NotCallable("does not begin with https:// (http:// only where JOBS_CALLBACK_HTTP is on)")
    if not parsed.host:
        raise NotCallable("names no host")
    if parsed.userinfo or "@" in parsed.netloc.decode():
        raise NotCallable("has a user or a password: leave them out, receivers know us by the signature")
    if parsed.fragment:
        raise NotCallable("has a fragment, which is never sent")
    port = _PORTS[parsed.scheme] if parsed.port is None else parsed.port
    if port not in _PORTS.values() and port not in _UNPRIVILEGED:
        raise NotCallable(f"port {port} is another service's: take 443, or one from {_UNPRIVILEGED.start} on")
    return Receiver(parsed, parsed.raw_host.decode().strip("[]"), port)


def is_allowed(address: Address, settings: CallbackSettings) -> bool:
    """Whether the address is public, or lies in a network that settings name."""
    if any(address in network for network in settings.networks):
        return True
    if not address.is_global or address.is_multicast or any(address in network for network in _SPECIAL):
        return False
    return isinstance(address, IPv4Address) or address in _IPV6_INTERNET


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses that the system knows for a name. Raises OSError."""
    ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_LOOKUPS, ask)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def addresses_of(receiver: Receiver, settings: CallbackSettings, resolve: Resolve = resolve) -> list[Address]:
    """The addresses to connect to, in the resolver's order. Raises NotCallable: there is none, or one is not public."""
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = [ip_address(text) for text in await resolve(receiver.host, receiver.port)]
    except (OSError, UnicodeError, ValueError) as error:
        raise NotCallable(f"host {receiver.host} cannot be resolved: {error or type(error).__name__}") from None
    if not found:
        raise NotCallable(f"host {receiver.host} has no address")
    if refused := [address for address in found if not is_allowed(address, settings)]:
        raise NotCallable(
            f"host {receiver.host} has address {refused[0]}, which is not public; JOBS_CALLBACK_NETWORKS names networks "
            "that are called all the same"
        )
    return found
