"""A chat's feed at a door: what those who come late, or come again, are told first, and what nobody is told twice."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from assistant.ends import End
from assistant.remarks import Remark
from gateways.web.feed import MAX_WAITING_BYTES, Cursor, Feed, Listener
from jobs_core import InvalidInput
from sessions.live_rows import LiveRow, Place

TURN, NEXT = uuid4(), uuid4()


def row(seq: int, *events: tuple[str, dict[str, Any]], token: int = 5, turn: UUID = TURN) -> LiveRow:
    return LiveRow("c", token, seq, turn, json.dumps(events))


def text(words: str) -> tuple[str, dict[str, Any]]:
    return "text", {"text": words, "message": "m", "parent": None}


def reset(*words: str) -> tuple[str, dict[str, Any]]:
    items = [{"kind": "text", **text(one)[1]} for one in words]
    return "reset", {"items": items, "status": None, "cost": None, "dropped_chars": 0}


def end(message_id: int, turn: UUID = TURN) -> End:
    return End("c", message_id, turn, "answered", "Done.", [1])


def begun(ends: dict[int, UUID] | None = None, run: Place | None = None) -> Feed:
    feed = Feed("c")
    feed.begin(ends or {}, run or Place())
    return feed


def read(chunk: bytes) -> list[tuple[str, str, dict[str, Any]]]:
    """The events of a chunk: id, kind, data."""
    found = []
    for event in chunk.decode().split("\n\n")[:-1]:
        fields = dict(one.split(": ", 1) for one in event.split("\n"))
        found.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
    return found


async def sent(listener: Listener) -> list[tuple[str, str, dict[str, Any]]]:
    chunk = await listener.next(0.01)
    assert chunk is not None
    return read(chunk)


def items(event: tuple[str, str, dict[str, Any]]) -> list[str]:
    return [item["text"] for item in event[2]["items"]]


async def test_who_comes_late_gets_the_text_so_far_in_one_piece_and_then_what_comes() -> None:
    feed = begun()
    feed.take(row(1, reset("Half ")))
    feed.take(row(2, text("an ")))
    listener = feed.join(None)
    (first,) = read(listener.first)
    assert first[:2] == ("0.5.2", "reset")
    assert items(first) == ["Half an "]
    assert (first[2]["turn_id"], first[2]["token"]) == (str(TURN), 5)
    feed.take(row(3, text("answer"), text(".")))
    assert [(one, kind, about["text"]) for one, kind, about in await sent(listener)] == [
        ("", "text", "answer"),
        ("0.5.3", "text", "."),
    ]


@pytest.mark.parametrize(("at", "told"), [("0.5.2", []), ("0.5.1", ["Half an "]), ("0.4.9", ["Half an "])])
def test_who_comes_again_is_told_the_whole_only_where_something_was_missed(at: str, told: list[str]) -> None:
    feed = begun()
    feed.take(row(1, reset("Half ")))
    feed.take(row(2, text("an ")))
    events = read(feed.join(Cursor.parse(at, field="f")).first)
    assert [words for event in events for words in items(event)] == told


async def test_the_end_of_a_turn_is_told_once_and_what_it_showed_is_forgotten() -> None:
    feed = begun()
    listener = feed.join(None)
    feed.take(row(1, reset("Done")))
    feed.end(end(9))
    assert [(one, kind) for one, kind, _ in await sent(listener)] == [("0.5.1", "reset"), ("9.5.1", "answer")]
    assert feed.join(None).first == b""


async def test_what_a_run_wrote_late_is_not_told_after_its_turn_has_ended() -> None:
    """Its last words may be committed after its answer; nobody would ever end what they begin to show."""
    feed = begun({8: NEXT}, Place(4, 0))
    listener = feed.join(None)
    feed.take(row(3, reset("of a turn that had ended before"), token=4, turn=NEXT))
    feed.end(end(9))
    feed.take(row(1, reset("late"), token=5))
    assert [kind for _, kind, _ in await sent(listener)] == ["answer"]
    assert feed.join(None).first == b""


async def test_the_end_of_an_earlier_turn_leaves_what_the_next_one_shows() -> None:
    feed = begun()
    feed.take(row(1, reset("next"), token=6, turn=NEXT))
    feed.end(end(9, TURN))
    (event,) = read(feed.join(None).first)
    assert items(event) == ["next"]


async def test_a_new_run_whose_beginning_is_lost_does_not_go_on_from_the_old_one() -> None:
    feed = begun()
    feed.take(row(1, reset("old")))
    feed.take(row(2, text("new"), token=6))
    (event,) = read(feed.join(None).first)
    assert items(event) == ["new"]


async def test_what_a_chat_says_of_itself_is_told_also_to_who_comes_late_until_a_turn_has_ended() -> None:
    feed = begun({8: NEXT})
    listener = feed.join(None)
    feed.remark(Remark("c", 9, "This waits."))
    told = [("", "remark", {"message_id": 9, "text": "This waits."})]
    assert await sent(listener) == read(feed.join(None).first) == told
    assert feed.remarked == 9
    feed.end(end(10))
    feed.remark(Remark("c", 9, "late"))
    assert [kind for _, kind, _ in await sent(listener)] == ["answer"]
    assert feed.join(None).first == b""


async def test_one_that_reads_too_slowly_is_let_go_and_holds_nothing() -> None:
    feed = begun()
    slow, other = feed.join(None), feed.join(None)
    for seq in range(1, 60):
        feed.take(row(seq, reset("x" * 50_000)))
        await sent(other)
    assert slow.closed
    assert feed.listeners == {other}
    assert await slow.next(0.01) is None
    assert sum(map(len, slow._chunks)) == 0
    assert MAX_WAITING_BYTES < 59 * 50_000


async def test_a_feed_that_closes_ends_all_listening() -> None:
    feed = begun()
    listener = feed.join(None)
    waiting = asyncio.create_task(listener.next(30))
    await asyncio.sleep(0)
    feed.close()
    assert await waiting is None


@pytest.mark.parametrize("wrong", ["", "1.2", "1.2.3.4", "a.b.c", "-1.2.3", "1.2.3 ", "1" * 19 + ".2.3", "١.٢.٣"])
def test_an_id_that_is_none_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(InvalidInput, match="Last-Event-ID"):
        Cursor.parse(wrong, field="Last-Event-ID")
    assert str(Cursor.parse("1.2.3", field="f")) == "1.2.3"
