"""One call of a receiver, on a socket: to the address that was checked, and no further than its answer's headers."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from gateways.webhooks.egress.call import Answered, AnswerLost, Caller, NotReached
from gateways.webhooks.settings import CallbackSettings
from tests.support.certificates import certified
from tests.support.http_receiver import SETTINGS, HttpReceiver, receiving


@pytest.fixture
async def receiver() -> AsyncIterator[HttpReceiver]:
    """A receiver that listens."""
    async with receiving() as listening:
        yield listening


class Rebinding:
    """A resolver that gives another address each time."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked = 0

    async def __call__(self, _host: str, _port: int) -> Sequence[str]:
        """The next one; the last one for good."""
        self.asked += 1
        return [self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]]


async def test_the_address_that_was_checked_is_connected_to_and_the_name_is_kept(receiver: HttpReceiver) -> None:
    """The name itself leads nowhere: whoever asked for it once more would not arrive."""
    resolve = Rebinding("127.0.0.1", "192.0.2.1")
    caller = Caller(SETTINGS, resolve, within_s=5.0)
    url = f"http://rebinding.invalid:{receiver.port}/in?a=b"
    assert await caller.post(url, {"webhook-id": "msg_1"}, b"{}") == Answered(200, None)
    [taken] = receiver.taken
    assert (taken.line, taken.headers["host"]) == ("POST /in?a=b HTTP/1.1", f"rebinding.invalid:{receiver.port}")
    assert resolve.asked == 1


async def test_tls_is_with_the_name_though_an_address_is_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver hears which host is meant, and what it shows must be that host's."""
    tls, trusted = certified(tmp_path, "shop.example")
    asked = list[str | None]()
    tls.sni_callback = lambda _socket, name, _context: asked.append(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    caller = Caller(SETTINGS, Rebinding("127.0.0.1"), within_s=5.0)
    async with receiving(tls) as receiver:
        assert await caller.post(f"https://shop.example:{receiver.port}/", {}, b"{}") == Answered(200, None)
        other = await caller.post(f"https://bank.example:{receiver.port}/", {}, b"{}")
    assert isinstance(other, NotReached)
    assert "CERTIFICATE_VERIFY_FAILED" in other.reason
    assert asked == ["shop.example", "bank.example"]
    assert [taken.headers["host"] for taken in receiver.taken] == [f"shop.example:{receiver.port}"]


async def test_of_several_addresses_the_next_is_tried_where_one_does_not_answer(receiver: HttpReceiver) -> None:
    async def both(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.2", "127.0.0.1"]

    caller = Caller(SETTINGS, both, within_s=5.0)
    assert await caller.post(f"http://shop.example:{receiver.port}/", {}, b"{}") == Answered(200, None)
    assert len(receiver.taken) == 1


async def test_a_name_that_has_come_to_lead_inside_is_not_called(receiver: HttpReceiver) -> None:
    """It was public when it was saved."""
    strict = CallbackSettings(callback_networks="", callback_http="on")
    caller = Caller(strict, Rebinding("127.0.0.1"), within_s=5.0)
    answer = await caller.post(f"http://rebinding.invalid:{receiver.port}/", {}, b"{}")
    assert isinstance(answer, NotReached)
    assert "127.0.0.1, which is not public" in answer.reason
    assert receiver.taken == []


async def test_a_redirect_is_an_answer_and_not_followed(receiver: HttpReceiver) -> None:
    caller = Caller(SETTINGS, within_s=5.0)
    for status in (301, 302, 303, 307, 308):
        receiver.answers.append((status, {"location": "http://169.254.169.254/latest/meta-data"}))
        assert await caller.post(receiver.url, {}, b"{}") == Answered(status, None)
    assert len(receiver.taken) == 5


async def test_the_environments_proxies_and_a_receivers_cookies_are_left_alone(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    caller = Caller(SETTINGS, within_s=5.0)
    receiver.answers.append((200, {"set-cookie": "a=b"}))
    for _ in range(2):
        assert await caller.post(receiver.url, {}, b"{}") == Answered(200, None)
    assert all("cookie" not in taken.headers for taken in receiver.taken)


async def test_of_an_answers_body_nothing_is_taken(receiver: HttpReceiver) -> None:
    """A packed one of 100 MB, and one without an end."""
    sent = asyncio.Event()

    async def bomb(writer: asyncio.StreamWriter) -> None:
        packed = gzip.compress(bytes(1_000_000), 1)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 100000000\r\n\r\n" + packed)
        await writer.drain()

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(bytes(65_536))
                await writer.drain()
        finally:
            sent.set()

    receiver.answers.extend([bomb, endless])
    caller = Caller(SETTINGS, within_s=30.0)
    for _ in range(2):
        assert await caller.post(receiver.url, {}, b"{}") == Answered(200, None)
    await asyncio.wait_for(sent.wait(), 30)  # we hung up on it


async def test_a_receiver_that_answers_a_byte_at_a_time_is_waited_for_no_longer_than_others(
    receiver: HttpReceiver,
) -> None:
    hung_up = asyncio.Event()

    async def drip(writer: asyncio.StreamWriter) -> None:
        try:
            for byte in b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1_000:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.02)
        finally:
            hung_up.set()

    receiver.answers.append(drip)
    with pytest.raises(AnswerLost, match=r"within 0\.2 s"):
        await Caller(SETTINGS, within_s=0.2).post(receiver.url, {}, b"{}")
    await asyncio.wait_for(hung_up.wait(), 30)


async def test_headers_without_an_end_are_an_answer_that_was_lost(receiver: HttpReceiver) -> None:
    async def long(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 10_000_000)
        await writer.drain()

    receiver.answers.append(long)
    with pytest.raises(AnswerLost, match="RemoteProtocolError"):
        await Caller(SETTINGS, within_s=30.0).post(receiver.url, {}, b"{}")


@pytest.mark.parametrize(
    ("given", "wait_s"),
    [
        ("30", 30.0),
        ("0", 1.0),
        ("9" * 40, 86_400.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 1.0),
        ("Wed, 21 Oct 2999 07:28:00 GMT", 86_400.0),
        ("Wed, 21 Oct 99999999999 07:28:00 GMT", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("", None),
    ],
)
async def test_a_receivers_wish_for_time_is_bounded(receiver: HttpReceiver, given: str, wait_s: float | None) -> None:
    receiver.answers.append((429, {"retry-after": given}))
    assert await Caller(SETTINGS, within_s=5.0).post(receiver.url, {}, b"{}") == Answered(429, wait_s)
