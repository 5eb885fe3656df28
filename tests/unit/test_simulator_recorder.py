"""The recording stays bounded, keeps no key, and can be waited on."""

import asyncio

from simulator import conversation
from simulator.recorder import MATCHED_CHARACTERS, Entry, Filter, Recorder

BODY = b'{"messages": [{"role": "user", "content": "hi"}]}'


def record(recorder: Recorder, prompt: str = "hi", body: bytes = BODY) -> Entry:
    entry = recorder.open("/v1/messages", {})
    recorder.understood(entry, body, conversation.read([{"role": "user", "content": prompt}]))
    return entry


def numbers(recorder: Recorder, **wanted: object) -> list[int]:
    return [entry.number for entry in recorder.find(Filter(**wanted))]  # type: ignore[arg-type]  # keywords of Filter


async def test_the_oldest_requests_go_when_there_are_too_many() -> None:
    recorder = Recorder(max_requests=2)
    for _ in range(3):
        record(recorder)
    assert numbers(recorder) == [2, 3]


async def test_the_oldest_requests_go_when_their_bodies_are_too_long() -> None:
    recorder = Recorder(max_body_bytes=2 * len(BODY))
    for _ in range(3):
        record(recorder)
    assert numbers(recorder) == [2, 3]


async def test_a_body_longer_than_the_recording_is_left_out() -> None:
    recorder = Recorder(max_body_bytes=10)
    assert record(recorder).record().body is None
    assert numbers(recorder) == [1]


async def test_only_the_beginning_of_what_was_asked_is_kept_beside_the_body() -> None:
    recorder = Recorder()
    assert len(record(recorder, "x" * 1_000_000).asked) == MATCHED_CHARACTERS


async def test_forgetting_frees_the_room_of_the_bodies() -> None:
    recorder = Recorder(max_body_bytes=2 * len(BODY))
    for _ in range(2):
        record(recorder)
        recorder.clear()
    record(recorder)
    record(recorder)
    assert numbers(recorder) == [3, 4]


async def test_a_request_forgotten_while_it_was_read_does_not_count() -> None:
    recorder = Recorder(max_body_bytes=len(BODY))
    entry = recorder.open("/v1/messages", {})
    recorder.clear()
    recorder.understood(entry, BODY, conversation.read([{"role": "user", "content": "hi"}]))
    record(recorder)
    assert numbers(recorder) == [2]


async def test_a_key_is_not_recorded() -> None:
    headers = {"x-api-key": "k", "authorization": "Bearer k", "cookie": "k", "x-app": "cli"}
    assert Recorder().open("/v1/messages", headers).record().headers == {"x-app": "cli"}


async def test_requests_are_found_by_what_they_say_where_they_stand_and_how_they_ended() -> None:
    recorder = Recorder()
    held, failed, other = record(recorder, "tea"), record(recorder, "tea"), record(recorder, "coffee")
    recorder.hold(held, "gate")
    recorder.close(failed, "failed", 529)
    recorder.close(other, "finished", 200)
    assert numbers(recorder, match="tea") == [1, 2]
    assert numbers(recorder, match="tea", after=1) == [2]
    assert numbers(recorder, holding="gate") == [1]
    assert numbers(recorder, outcome="finished") == [3]


async def test_only_the_first_end_of_a_request_counts() -> None:
    recorder = Recorder()
    entry = record(recorder)
    recorder.close(entry, "finished", 200)
    recorder.close(entry, "cut")
    assert (entry.outcome, entry.status) == ("finished", 200)


async def test_waiting_ends_with_the_change_that_was_waited_for() -> None:
    recorder = Recorder()
    waiting = asyncio.create_task(recorder.wait(Filter("tea", holding="gate")))
    await asyncio.sleep(0)
    record(recorder, "coffee")
    entry = record(recorder, "tea")
    await asyncio.sleep(0)
    assert not waiting.done()
    recorder.hold(entry, "gate")
    recorder.hold(record(recorder, "tea"), "gate")
    assert await waiting is entry
