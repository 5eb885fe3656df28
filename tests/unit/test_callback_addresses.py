"""Which receivers may be called: attacks on the URL, and on what its name stands for."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

import pytest

from gateways.webhooks.egress import addresses
from gateways.webhooks.egress.addresses import Resolve, addresses_of, check_url, is_allowed
from gateways.webhooks.errors import NotCallable
from gateways.webhooks.settings import CallbackSettings
from jobs_core import ConfigurationError

STRICT = CallbackSettings(callback_networks="", callback_http="off")

NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.9.9.9",
    "169.254.169.254",
    "169.254.170.2",
    "168.63.129.16",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::7f00:1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "4000::1",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_is_not_public_is_not_called(address: str) -> None:
    assert not is_allowed(ip_address(address), STRICT)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450:4001::1"])
def test_what_is_public_is_called(address: str) -> None:
    assert is_allowed(ip_address(address), STRICT)


def test_networks_that_settings_name_are_called_and_no_others() -> None:
    settings = CallbackSettings(callback_networks="10.1.0.0/16, fd00:1::/32", callback_http="off")
    assert is_allowed(ip_address("10.1.2.3"), settings)
    assert is_allowed(ip_address("fd00:1::5"), settings)
    for other in ("10.2.0.1", "fd00:2::1", "::ffff:10.1.2.3", "127.0.0.1"):
        assert not is_allowed(ip_address(other), settings)


@pytest.mark.parametrize("networks", ["10.1.2.3/16", "intranet", "10.0.0.0/33"])
def test_a_network_that_is_none_ends_the_start(networks: str) -> None:
    with pytest.raises(ConfigurationError, match="JOBS_CALLBACK_NETWORKS"):
        CallbackSettings.read(callback_networks=networks)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "//shop.example/in",
        "http://shop.example/in",
        "ftp://shop.example/in",
        "file:///etc/passwd",
        "gopher://shop.example/",
        "https://",
        "https:///in",
        "https://user@shop.example/",
        "https://user:word@shop.example/",
        "https://:@shop.example/",
        "https://shop.example\\@127.0.0.1/",
        "https://shop.example/#in",
        "https://shop.example:22/",
        "https://shop.example:25/",
        "https://shop.example:0/",
        "https://shop.example:65536/",
        "https://shop.example/\r\nX-Evil: 1",
        "https://shop.example/ in",
        "https://[::1/",
        "https://xn--/in",
        "https://xn--a/in",
        "https://shop.example/" + "a" * 2_000,
    ],
)
def test_a_url_that_is_not_plain_is_refused(url: str) -> None:
    with pytest.raises(NotCallable):
        check_url(url, STRICT)


def test_a_plain_url_leads_where_it_says() -> None:
    for url, host, port in [
        ("https://shop.example/in?key=1", "shop.example", 443),
        ("https://shop.example:8443/in", "shop.example", 8443),
        ("https://bücher.example/", "xn--bcher-kva.example", 443),
        ("https://[2606:4700::1]/", "2606:4700::1", 443),
        ("HTTPS://SHOP.example/", "shop.example", 443),
    ]:
        receiver = check_url(url, STRICT)
        assert (receiver.host, receiver.port) == (host, port)


def _resolver(*addresses: str) -> Resolve:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return resolve


async def test_one_address_that_is_not_public_among_others_refuses_the_name() -> None:
    receiver = check_url("https://shop.example/", STRICT)
    assert await addresses_of(receiver, STRICT, _resolver("8.8.8.8")) == [ip_address("8.8.8.8")]
    for more in (["127.0.0.1"], ["8.8.4.4", "::ffff:169.254.169.254"], ["no address"]):
        with pytest.raises(NotCallable):
            await addresses_of(receiver, STRICT, _resolver("8.8.8.8", *more))
    with pytest.raises(NotCallable, match="has no address"):
        await addresses_of(receiver, STRICT, _resolver())


@pytest.mark.parametrize(
    "host", ["localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "[::]", "[::ffff:7f00:1]"]
)
async def test_this_machine_by_another_name_is_refused(host: str) -> None:
    """By the system's own resolver, which takes such forms for addresses, or knows none."""
    with pytest.raises(NotCallable):
        await addresses_of(check_url(f"https://{host}/", STRICT), STRICT)


async def test_a_name_that_is_not_resolved_in_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateways.webhooks.egress.addresses.RESOLVE_S", 0.01)

    async def never(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(NotCallable, match="cannot be resolved"):
        await addresses_of(check_url("https://shop.example/", STRICT), STRICT, never)


async def test_a_nameserver_that_does_not_answer_holds_no_thread_that_others_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = threading.Event()

    def waits(*_asked: object, **_how: object) -> None:
        answers.wait(30)
        raise OSError("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", waits)
    monkeypatch.setattr(addresses, "RESOLVE_S", 0.01)
    receiver = check_url("https://shop.example/", STRICT)
    try:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
        lookups = [addresses_of(receiver, STRICT) for _ in range(8)]
        assert all(isinstance(each, NotCallable) for each in await asyncio.gather(*lookups, return_exceptions=True))
        await asyncio.wait_for(asyncio.to_thread(lambda: None), 10)
    finally:
        answers.set()
