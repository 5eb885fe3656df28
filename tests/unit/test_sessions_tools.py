"""Tools of our own, as a CLI calls them: what is refused, what a model hears of an error, and where results end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
import structlog
from pydantic import BaseModel, ConfigDict, Field
from structlog.testing import capture_logs

from jobs_core import InvalidInput, LeaseLost
from jobs_core.db import Retryable
from sessions import Tool, ToolRefused, current_call, tools
from sessions.tools import MAX_RESULT_CHARS, served, shown_names

Call = Callable[..., Awaitable[tuple[str, bool]]]
SECRET = "hunter2 is the password"


class Given(BaseModel):
    model_config = ConfigDict(extra="forbid")

    word: str = Field(max_length=10)
    colour: Literal["red", "green"] = "red"
    n: int = 0


def tool(fn: Any, name: str = "try_it") -> Tool[Given]:
    return Tool(name, "Tries it.", Given, fn)


async def echo(given: Given) -> str:
    return f"{given.word} {given.colour} {given.n}"


@asynccontextmanager
async def calling(*offered: Tool[Any]) -> AsyncIterator[Call]:
    """The server as a CLI reaches it, by the client that comes with it."""
    from mcp import Client

    async with Client(served(offered)["jobs"]["instance"]) as client:  # type: ignore[typeddict-item]  # an in-process server

        async def call(name: str = "try_it", **given: Any) -> tuple[str, bool]:
            result = await client.call_tool(name, given)
            (block,) = result.content
            return block.text, result.is_error  # type: ignore[union-attr]  # text is all that tools give

        yield call


async def answer_of(fn: Any, **given: Any) -> tuple[str, bool]:
    async with calling(tool(fn)) as call:
        return await call(**({"word": "hi"} | given))


async def test_a_tool_gets_its_input_and_the_model_its_result() -> None:
    assert await answer_of(echo, colour="green", n=3) == ("hi green 3", False)


async def test_a_result_may_be_a_model() -> None:
    async def give(given: Given) -> Given:
        return given

    assert await answer_of(give) == ('{"word":"hi","colour":"red","n":0}', False)


async def test_what_does_not_fit_is_told_by_its_fields_and_not_repeated() -> None:
    text, failed = await answer_of(echo, word="x" * 100_000, colour="mauve", user="ada")
    assert failed
    assert "word: String should have at most 10 characters" in text
    assert "colour: Input should be 'red' or 'green'" in text
    assert "user: Extra inputs are not permitted" in text
    assert len(text) < 300
    text, failed = await answer_of(echo, word="a\0b")
    assert (text, failed) == ("input.word: contains a NUL character; remove it", True)


async def test_only_the_first_faults_of_many_are_told() -> None:
    text, _ = await answer_of(echo, **{f"extra_{n}": 1 for n in range(8)})
    assert text.endswith("; and 3 more")


@pytest.mark.parametrize(
    ("error", "told", "event"),
    [
        (ToolRefused("There is no\n task 7"), "There is no task 7", "tool.refused"),
        (InvalidInput("title: is empty"), "title: is empty", "tool.refused"),
        (LeaseLost("job 3: token 4 is no longer the job's"), "This run was taken over", "tool.lost_its_run"),
        (TimeoutError(SECRET), "took too long", "tool.timed_out"),
        (Retryable[0](SECRET), "Try again", "tool.had_no_database"),
        (ZeroDivisionError(SECRET), "The tool failed by a fault of its own", "tool.broke"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_of_an_error_the_model_hears_one_line_and_nobody_a_secret(
    error: Exception, told: str, event: str
) -> None:
    async def fail(_: Given) -> str:
        raise error

    with capture_logs() as logs:
        text, failed = await answer_of(fail)
    assert failed
    assert told in text
    assert "\n" not in text
    assert SECRET not in text + str(logs)
    (entry,) = logs
    assert entry["event"] == event
    if isinstance(error, ZeroDivisionError):
        assert entry["error"] == "ZeroDivisionError"
        assert "test_sessions_tools.py:" in entry["at"]


async def test_a_call_that_takes_too_long_is_stopped_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "_LONGEST_CALL_S", 0.01)
    stopped = asyncio.Event()

    async def hang(_: Given) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return ""

    text, failed = await answer_of(hang)
    assert failed
    assert "took too long" in text
    assert stopped.is_set()


async def test_a_result_is_cut_and_says_so() -> None:
    async def much(_: Given) -> str:
        return "a\0\ud800" + "x" * 1_000_000

    text, failed = await answer_of(much)
    assert not failed
    assert text.startswith("a\N{REPLACEMENT CHARACTER}?x")
    assert text.endswith("x… (cut: 1000003 characters in all)")
    assert len(text) < MAX_RESULT_CHARS + 50


async def test_each_cli_is_a_run_of_its_own_and_two_never_mix() -> None:
    runs = set[object]()

    def of(person: str) -> Tool[Given]:
        async def whose(_: Given) -> str:
            await asyncio.sleep(0)
            runs.add(current_call().run_id)
            return person

        return tool(whose)

    async with calling(of("ada")) as adas, calling(of("bob")) as bobs:
        answers = await asyncio.gather(*(call(word="hi") for call in (adas, bobs) * 20))
    assert answers == [("ada", False), ("bob", False)] * 20
    assert len(runs) == 2


async def test_what_is_bound_to_the_log_of_a_run_is_there_in_its_tools() -> None:
    async def look(_: Given) -> str:
        return str(structlog.contextvars.get_contextvars())

    with structlog.contextvars.bound_contextvars(turn_id="t"):
        text, _ = await answer_of(look)
    assert "'tool': 'try_it'" in text
    assert "'turn_id': 't'" in text


def test_names_that_an_api_would_refuse_or_that_are_taken_twice_are_not_taken() -> None:
    for name in ("", "Try", "a-b", "a__b\n", "x" * 49, "1a"):
        with pytest.raises(ValueError, match="is no name for a tool"):
            tool(echo, name)
    assert shown_names([tool(echo, "a"), tool(echo, "b")]) == ["mcp__jobs__a", "mcp__jobs__b"]
    with pytest.raises(ValueError, match="two tools have one name"):
        shown_names([tool(echo), tool(echo)])


def test_without_tools_there_is_no_server() -> None:
    assert served([]) == {}
